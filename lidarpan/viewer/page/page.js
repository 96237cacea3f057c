// The page: its state, what it shows, what is selected; draws again only when something changed.
const byId = (id) => document.getElementById(id);
const meta = JSON.parse(byId("meta").textContent);
const hasLabels = meta.classes.length > 0;
const MODES = hasLabels
  ? ["panoptic", "semantic", "instance", "height", "intensity", ...(meta.hasTruth ? ["error"] : []), ...(meta.hasScores ? ["confidence"] : [])]
  : ["height", "intensity"];
const ASKED = decodeURIComponent(location.hash.slice(1)); // view.html#confidence
const SHOWS = ["prediction", "truth", "both", "blink"];
const KEYS = [
  ["\u2190 \u2192", "step through the scans"], ["space", "play"], [`1 \u2026 ${MODES.length}`, "colour by"],
  ["T", "from above"], ["L", "names"], ["O", "outlines"], ["+ \u2212", "size of points"],
  ...(meta.hasTruth ? [["V", "prediction, truth, both"], ["B", "blink"]] : []),
  ["R", "start view"], ["P", "fold the panel"], ["Esc", "select nothing"],
  ["drag", "turn"], ["right drag, shift drag", "move"], ["wheel, pinch", "zoom"], ["click", "select"],
];
const state = {
  index: 0, mode: MODES.includes(ASKED) ? ASKED : MODES[0], show: "prediction", blinkTruth: false, hidden: new Set(), selected: null,
  hasNames: true, hasOutlines: true, pointScale: 1, isPlaying: false, isFlat: false, scan: null,
  leastScore: meta.leastScore,
};
const view = byId("view"), overlay = byId("overlay"), panes = [...byId("panes").children];
let stage = null, isQueued = false;

function problem(error) {
  byId("problem").textContent = String(error.message || error);
  byId("problem").hidden = false;
}

function panelEdge() {
  const panel = byId("panel"), isNarrow = view.clientWidth < 900;
  return isNarrow || panel.classList.contains("folded") ? 0 : panel.getBoundingClientRect().right + 12;
}

function setsShown() {
  if (!meta.hasTruth || state.show === "prediction") return ["labels"];
  if (state.show === "both") return ["labels", "truth"];
  return [state.show === "truth" || state.blinkTruth ? "truth" : "labels"];
}

// One or two panes: [{name, left, width}], in pixels.
function viewsShown() {
  const names = setsShown();
  byId("panes").style.paddingLeft = `${names.length === 2 ? panelEdge() : 0}px`; // two views stay clear of it
  panes[1].hidden = names.length < 2;
  stage.fit(panes[0].clientWidth, view.clientHeight);
  return names.map((name, k) => ({ name, left: panes[k].offsetLeft, width: panes[k].clientWidth, height: view.clientHeight }));
}

function resize() {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  overlay.width = view.clientWidth * ratio;
  overlay.height = view.clientHeight * ratio;
  overlay.getContext("2d").scale(ratio, ratio);
  stage.resize(view.clientWidth, view.clientHeight, ratio);
  redraw();
}

function redraw() {
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    const views = viewsShown();
    stage.draw(views, state.pointScale);
    const reserved = ["panel", "info", "steps"].map(byId).filter((e) => !e.hidden).map((e) => {
      const box = e.getBoundingClientRect();
      return [box.left, box.top, box.right, box.bottom];
    });
    const heading = meta.hasTruth ? { labels: state.mode === "error" ? "errors" : "prediction", truth: "truth" } : {};
    writeOverlay(overlay, views, state.scan, {
      reserved, heading, hidden: state.hidden, classes: meta.classes, hasLabels: hasLabels && state.hasNames,
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
    stage.fill(name, state.scan, colors, lines);
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
    const same = kept ? scan[state.selected.set].instances.findIndex((one) => one.id === kept.id) : -1;
    select(same >= 0 ? { set: state.selected.set, index: same + 1 } : null);
    if (wanted + 1 < meta.names.length && state.isPlaying) loadScan(wanted + 1, meta.embedded).catch(() => {});
  } catch (error) {
    problem(error);
  }
}

const instanceOf = (selected) => state.scan[selected.set].instances[selected.index - 1];

function pick(shown, x, y) {
  if (!state.scan) return null;
  const labels = state.scan[shown.name], points = state.scan.points, perPixel = stage.metersPerPixel(shown.height);
  let best = null, bestCost = Infinity;
  for (let i = 0; i < state.scan.count; i++) {
    if (labels && state.hidden.has(classOf(labels, i))) continue;
    const spot = stage.project(shown, points[3 * i], points[3 * i + 1], points[3 * i + 2]);
    if (!spot) continue;
    const away = Math.hypot(spot[0] - x, spot[1] - y);
    if (away > 7) continue;
    const cost = spot[2] + 3 * perPixel * away; // metres
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

function click(shown, x, y) {
  const found = pick(shown, x, y);
  if (!found) return select(null);
  const labels = state.scan[found.set], index = labels && objectOf(labels, found.point) ? labels.instance[found.point] : 0;
  return index ? select({ set: found.set, index }, found) : select(null, found);
}
