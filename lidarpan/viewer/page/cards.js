// What the page tells: the card of a point or an instance, and the lists of the panel.
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function swatch(color) {
  const made = element("span", { className: "swatch" });
  made.style.background = `rgb(${color.map(Math.round).join(",")})`;
  return made;
}

function card(color, heading, rows) {
  const list = element("dl", {});
  for (const [key, value] of rows) list.append(element("dt", {}, key), element("dd", {}, value));
  return [element("strong", {}, ...(color ? [swatch(color)] : []), heading), list];
}

function instanceCard(selected, found) {
  const one = instanceOf(selected);
  const rows = [
    ["points", one.points.toLocaleString("en")], ["distance", `${one.distance.toFixed(1)} m`],
    ["size", one.size.map((m) => m.toFixed(1)).join(" \u00d7 ") + " m"],
  ];
  if (one.score !== null) rows.push(["score", one.score.toFixed(2)]);
  if (meta.hasTruth) rows.unshift(["from", selected.set === "truth" ? "truth" : "prediction"]);
  if (found) rows.push(...comparisonRows(found));
  return card(one.shade, `${meta.classes[one.class].name} ${one.id}`, rows);
}

function pointCard(found) {
  const [x, y, z] = state.scan.points.subarray(3 * found.point, 3 * found.point + 3);
  const labels = state.scan[found.set];
  const rows = [
    ["distance", `${Math.hypot(x, y).toFixed(1)} m`], ["height", `${z.toFixed(2)} m`],
    ["intensity", (state.scan.intensity[found.point] / 255).toFixed(2)], ...comparisonRows(found),
  ];
  if (!labels) return card(null, "point", rows);
  const kind = meta.classes[classOf(labels, found.point)];
  return card(kind.color, kind.name, rows);
}

function comparisonRows(found) {
  if (!state.scan.error) return [];
  const other = found.set === "truth" ? "labels" : "truth", labels = state.scan[other];
  const index = labels.instance[found.point], name = meta.classes[labels.semantic[found.point]].name;
  const text = index ? `${name} ${labels.instances[index - 1].id}` : name;
  return [[other === "truth" ? "truth here" : "prediction here", text], ["error here", meta.errors[state.scan.error[found.point]].name]];
}

function fillPanel() {
  const labels = state.scan[setsShown()[0]];
  const sure = labels ? labels.instances.filter((one) => !isUnsure(one)).length : 0;
  const objects = labels ? `, ${sure} objects` : "";
  byId("summary").textContent = `${state.scan.count.toLocaleString("en")} points${objects}`;
  for (const [group, value] of [["modes", state.mode], ["shows", state.show]]) {
    for (const button of byId(group).children) button.setAttribute("aria-pressed", button.value === value);
  }
  const on = { top: state.isFlat, names: state.hasNames, outlines: state.hasOutlines };
  for (const button of byId("toggles").children) {
    if (button.value in on) button.setAttribute("aria-pressed", on[button.value]);
  }
  const isScale = ["height", "intensity", "confidence"].includes(state.mode);
  byId("ramp").hidden = !isScale;
  const [low, high] = state.mode === "height"
    ? [`${state.scan.bottom.toFixed(1)}`, `${state.scan.top.toFixed(1)} m`]
    : ["0", state.mode === "confidence" ? "1" : (state.scan.brightest / 255).toFixed(2)];
  byId("least-score-value").textContent = state.leastScore.toFixed(2);
  byId("ramp-low").textContent = low;
  byId("ramp-high").textContent = high;
  fillClasses(labels);
}

function fillClasses(labels) {
  byId("classes-block").hidden = !labels;
  if (!labels) return;
  const isError = state.mode === "error" && setsShown()[0] === "labels";
  const kinds = isError ? meta.errors : meta.classes, counts = new Uint32Array(kinds.length);
  for (let i = 0; i < state.scan.count; i++) counts[isError ? state.scan.error[i] : classOf(labels, i)]++;
  byId("classes-head").textContent = isError ? "Errors (points)" : "Classes (points)";
  const order = [...kinds.keys()].filter((k) => counts[k] > 0);
  if (!isError) order.push(...order.splice(0, order[0] === 0 ? 1 : 0));
  byId("classes").replaceChildren(...order.map((k) => {
    const box = element("input", { type: "checkbox", checked: !state.hidden.has(k) });
    const isOff = !isError && state.hidden.has(k);
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(k); else state.hidden.add(k);
      recolor();
    });
    const count = element("span", { className: "count" }, counts[k].toLocaleString("en"));
    const label = element("label", { className: isOff ? "off" : "" }, ...(isError ? [] : [box]), swatch(kinds[k].color), kinds[k].name, count);
    return element("li", {}, label);
  }));
}
