// The page: state, buttons, mouse, keys; draws again only when something changed.
const byId = (id) => document.getElementById(id);
const meta = JSON.parse(byId("meta").textContent);
const hasLabels = meta.classes.length > 0;
const MODES = hasLabels
  ? ["panoptic", "semantic", "instance", "height", "intensity", ...(meta.hasTruth ? ["error"] : [])]
  : ["height", "intensity"];
const SHOWS = ["prediction", "truth", "both", "blink"];
const KEYS = [
  ["\u2190 \u2192", "step through the scans"], ["space", "play"], [`1 \u2026 ${MODES.length}`, "colour by"],
  ["T", "from above"], ["L", "names"], ["O", "outlines"], ["+ \u2212", "size of points"],
  ...(meta.hasTruth ? [["V", "prediction, truth, both"], ["B", "blink"]] : []),
  ["R", "start view"], ["P", "fold the panel"], ["Esc", "select nothing"],
  ["drag", "turn"], ["right drag, shift drag", "move"], ["wheel, pinch", "zoom"], ["click", "select"],
];
const state = {
  index: 0, mode: MODES[0], show: "prediction", blinkTruth: false, hidden: new Set(), selected: null,
  hasNames: true, hasOutlines: true, pointScale: 1, isPlaying: false, camera: makeCamera(), scan: null,
};
const view = byId("view"), overlay = byId("overlay");
let painter = null, isQueued = false;

function problem(error) {
  byId("problem").textContent = String(error.message || error);
  byId("problem").hidden = false;
}

const pixelRatio = () => Math.min(2, window.devicePixelRatio || 1);

function panelEdge() {
  const panel = byId("panel"), isNarrow = view.clientWidth < 900;
  return isNarrow || panel.classList.contains("folded") ? 0 : panel.getBoundingClientRect().right + 12;
}

function setsShown() {
  if (!meta.hasTruth || state.show === "prediction") return ["labels"];
  if (state.show === "both") return ["labels", "truth"];
  return [state.show === "truth" || state.blinkTruth ? "truth" : "labels"];
}

function viewsShown() {
  const names = setsShown();
  const inset = names.length === 2 ? Math.round(panelEdge() * pixelRatio()) : 0; // two views stay clear of it
  const width = Math.floor((view.width - inset) / names.length);
  const matrix = clipFromWorld(state.camera, width / Math.max(1, view.height));
  return names.map((name, k) => ({ name, matrix, left: inset + k * width, width }));
}

function fitCanvases() {
  const ratio = pixelRatio();
  const width = Math.round(view.clientWidth * ratio), height = Math.round(view.clientHeight * ratio);
  for (const canvas of [view, overlay]) {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  }
  return ratio;
}

function redraw() {
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    const ratio = fitCanvases();
    const views = viewsShown();
    painter.draw(views, state.camera, state.pointScale, ratio);
    const reserved = ["panel", "info", "steps"].map(byId).filter((e) => !e.hidden).map((e) => {
      const box = e.getBoundingClientRect();
      return [box.left, box.top, box.right, box.bottom];
    });
    const heading = meta.hasTruth ? { labels: state.mode === "error" ? "errors" : "prediction", truth: "truth" } : {};
    writeOverlay(overlay, views, state.scan, {
      ratio, reserved, heading, hidden: state.hidden, classes: meta.classes,
      hasLabels: hasLabels && state.hasNames,
    });
  });
}

function recolor() {
  if (!state.scan) return;
  for (const name of hasLabels ? ["labels", "truth"] : ["labels"]) {
    if (name === "truth" && !state.scan.truth) continue;
    const mode = name === "truth" && state.mode === "error" ? "panoptic" : state.mode;
    const colors = colorPoints(state.scan, name, mode, meta, state.hidden, state.selected);
    const lines = ringLines(state.scan.bottom);
    if (state.hasOutlines) lines.push(...outlineLines(state.scan, name, mode, state.hidden, state.selected));
    painter.setColors(name, colors, lines);
  }
  fillPanel();
  redraw();
}

async function goTo(index) {
  const wanted = Math.max(0, Math.min(meta.names.length - 1, index));
  state.index = wanted;
  byId("slider").value = wanted;
  byId("name").textContent = `${meta.names[wanted]}  (${wanted + 1} of ${meta.names.length})`;
  try {
    const scan = await loadScan(wanted, meta.embedded);
    if (state.index !== wanted) return;
    const kept = state.selected && instanceOf(state.selected);
    byId("problem").hidden = true;
    state.scan = scan;
    painter.setScan(scan);
    const same = kept ? scan[state.selected.set].instances.findIndex((one) => one.id === kept.id) : -1;
    select(same >= 0 ? { set: state.selected.set, index: same + 1 } : null);
    if (wanted + 1 < meta.names.length && state.isPlaying) loadScan(wanted + 1, meta.embedded).catch(() => {});
  } catch (error) {
    problem(error);
  }
}

const instanceOf = (selected) => state.scan[selected.set].instances[selected.index - 1];

function pick(clientX, clientY) {
  const ratio = pixelRatio(), x = clientX * ratio, y = clientY * ratio;
  const shown = viewsShown().find((one) => x >= one.left && x < one.left + one.width);
  if (!shown || !state.scan) return null;
  const labels = state.scan[shown.name], points = state.scan.points, reach = 7 * ratio;
  const depthScale = state.camera.isFlat ? 900 : 0, perPixel = metersPerPixel(state.camera, view.height);
  let best = null, bestCost = Infinity;
  for (let i = 0; i < state.scan.count; i++) {
    if (labels && state.hidden.has(labels.semantic[i])) continue;
    const spot = project(shown.matrix, points[3 * i], points[3 * i + 1], points[3 * i + 2], shown.width, view.height);
    if (!spot || Math.abs(spot[2]) > 1) continue;
    const away = Math.hypot(spot[0] + shown.left - x, spot[1] - y);
    if (away > reach) continue;
    const cost = (depthScale ? depthScale * spot[2] : spot[3]) + 3 * perPixel * away; // metres
    if (cost < bestCost) [best, bestCost] = [{ set: shown.name, point: i }, cost];
  }
  return best;
}

function select(selected, point) {
  state.selected = selected;
  byId("info").hidden = selected === null && point === undefined;
  if (selected) byId("info").replaceChildren(...instanceCard(selected, point));
  else if (point !== undefined) byId("info").replaceChildren(...pointCard(point));
  recolor();
}

function click(clientX, clientY) {
  const found = pick(clientX, clientY);
  if (!found) return select(null);
  const labels = state.scan[found.set], index = labels ? labels.instance[found.point] : 0;
  return index ? select({ set: found.set, index }, found) : select(null, found);
}
