// What the user does: buttons, keys, clicks; then the start of the page.
function setMode(mode) { state.mode = mode; recolor(); }
function setShow(show) { state.show = show; state.blinkTruth = false; recolor(); }
function setLeastScore(score) {
  state.leastScore = score;
  if (state.selected && isUnsure(instanceOf(state.selected))) return select(null);
  recolor();
}
function setTop(isFlat) {
  state.isFlat = isFlat;
  stage.look(isFlat);
  recolor();
}
const toggles = {
  top: () => setTop(!state.isFlat),
  names: () => { state.hasNames = !state.hasNames; recolor(); },
  outlines: () => { state.hasOutlines = !state.hasOutlines; recolor(); },
  reset: () => setTop(state.isFlat),
};

function foldPanel() {
  byId("panel").classList.toggle("folded");
  redraw();
}

function togglePlay() {
  state.isPlaying = !state.isPlaying;
  byId("play").textContent = state.isPlaying ? "pause" : "play";
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const number = Number(key);
  const actions = {
    ArrowLeft: () => goTo(state.index - 1), ArrowRight: () => goTo(state.index + 1), " ": togglePlay,
    Home: () => goTo(0), End: () => goTo(meta.names.length - 1),
    t: toggles.top, l: toggles.names, o: toggles.outlines, r: toggles.reset,
    "+": () => { state.pointScale = Math.min(6, state.pointScale * 1.25); redraw(); },
    "=": () => actions["+"](),
    "-": () => { state.pointScale = Math.max(0.3, state.pointScale / 1.25); redraw(); },
    p: foldPanel, Escape: () => select(null),
  };
  if (meta.hasTruth) {
    actions.v = () => setShow(SHOWS[(SHOWS.indexOf(state.show) + 1) % 3]);
    actions.b = () => setShow(state.show === "blink" ? "prediction" : "blink");
  }
  const action = number >= 1 && number <= MODES.length ? () => setMode(MODES[number - 1]) : actions[key];
  if (!action) return;
  event.preventDefault();
  action();
}

function listenToClicks(pane, k) {
  let down = null;
  pane.addEventListener("pointerdown", (event) => { down = event.isPrimary && event.button === 0 ? event : null; });
  pane.addEventListener("pointerup", ({ clientX: x, clientY: y }) => {
    if (down && Math.hypot(x - down.clientX, y - down.clientY) < 5) click(viewsShown()[k], x, y);
    down = null;
  });
}

function addButtons(group, names, action) {
  for (const [value, text] of names) {
    const button = element("button", { value, type: "button" }, text);
    button.addEventListener("click", () => action(value));
    byId(group).append(button);
  }
}

function start() {
  stage = makeStage(view, panes, redraw);
  stage.look(false);
  resize();
  byId("title").textContent = meta.title;
  byId("title").addEventListener("click", foldPanel);
  addButtons("modes", MODES.map((m) => [m, m]), setMode);
  addButtons("shows", SHOWS.map((s) => [s, s]), setShow);
  byId("shows-block").hidden = !meta.hasTruth;
  const views = [["top", "from above"], ...(hasLabels ? [["names", "names"], ["outlines", "outlines"]] : []), ["reset", "reset"]];
  addButtons("toggles", views, (value) => toggles[value]());
  for (const [key, text] of KEYS) byId("keys").append(element("dt", {}, key), element("dd", {}, text));
  const bar = byId("ramp-bar").getContext("2d");
  meta.ramp.forEach((rgb, x) => { bar.fillStyle = `rgb(${rgb.join(",")})`; bar.fillRect(x, 0, 1, 1); });
  byId("scores-block").hidden = !meta.hasScores;
  byId("least-score").value = state.leastScore;
  byId("least-score").addEventListener("input", (event) => setLeastScore(Number(event.target.value)));
  byId("steps").hidden = meta.names.length < 2;
  byId("slider").max = meta.names.length - 1;
  byId("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
  byId("back").addEventListener("click", () => goTo(state.index - 1));
  byId("next").addEventListener("click", () => goTo(state.index + 1));
  byId("play").addEventListener("click", togglePlay);
  setInterval(() => { if (state.isPlaying) goTo((state.index + 1) % meta.names.length); }, 250);
  setInterval(() => { if (state.show === "blink") { state.blinkTruth = !state.blinkTruth; redraw(); } }, 700);
  window.addEventListener("keydown", onKey);
  window.addEventListener("resize", resize);
  panes.forEach(listenToClicks);
  return goTo(0);
}

// For scripts: the state, where a point is on the screen, and a promise of the first scan.
window.lidarpan = {
  state,
  screenOf(point, set = setsShown()[0]) {
    const shown = viewsShown().find((one) => one.name === set);
    const at = stage.project(shown, ...state.scan.points.subarray(3 * point, 3 * point + 3));
    return at && at.slice(0, 2);
  },
};
try { window.lidarpan.ready = start(); } catch (error) { problem(error); throw error; }
