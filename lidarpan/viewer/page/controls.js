// What the user does: buttons, keys, mouse and fingers; then the start of the page.
function setMode(mode) { state.mode = mode; recolor(); }
function setShow(show) { state.show = show; state.blinkTruth = false; recolor(); }
function setTop(isFlat) {
  Object.assign(state.camera, makeCamera(), isFlat ? { isFlat, pitch: Math.PI / 2, target: [0, 0, 0], distance: 105 } : {});
  recolor();
}
const toggles = {
  top: () => setTop(!state.camera.isFlat),
  names: () => { state.hasNames = !state.hasNames; recolor(); },
  outlines: () => { state.hasOutlines = !state.hasOutlines; recolor(); },
  reset: () => setTop(state.camera.isFlat),
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

function listenToPointer() {
  const fingers = new Map();
  let moved = 0, spread = 0;
  const center = () => [...fingers.values()].reduce((sum, f) => [sum[0] + f[0] / fingers.size, sum[1] + f[1] / fingers.size], [0, 0]);
  const width = () => fingers.size < 2 ? 0 : Math.hypot(...[0, 1].map((i) => [...fingers.values()][0][i] - [...fingers.values()][1][i]));
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    if (fingers.size === 0) moved = 0;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    spread = width();
  });
  view.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = center();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const now = center(), dx = now[0] - before[0], dy = now[1] - before[1];
    moved += Math.abs(dx) + Math.abs(dy);
    const isPan = fingers.size > 1 || event.buttons === 2 || event.buttons === 4 || event.shiftKey || state.camera.isFlat;
    if (isPan) pan(state.camera, dx, dy, view.clientHeight); else orbit(state.camera, dx, dy);
    if (fingers.size > 1 && spread > 0) {
      zoom(state.camera, spread / Math.max(1, width()), 0, 0, view.clientHeight);
      spread = width();
    }
    redraw();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    view.addEventListener(kind, (event) => {
      const isClick = fingers.delete(event.pointerId) && kind === "pointerup" && event.button === 0 && moved < 5;
      if (isClick) click(event.clientX, event.clientY);
    });
  }
  view.addEventListener("contextmenu", (event) => event.preventDefault());
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const views = viewsShown(), ratio = pixelRatio(), part = views[0].width / ratio;
    const x = ((event.clientX - views[0].left / ratio) % part) - part / 2, y = event.clientY - view.clientHeight / 2;
    const step = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
    zoom(state.camera, Math.exp(Math.max(-300, Math.min(300, step)) * 0.0015), x, y, view.clientHeight);
    redraw();
  }, { passive: false });
}

function addButtons(group, names, action) {
  for (const [value, text] of names) {
    const button = element("button", { value, type: "button" }, text);
    button.addEventListener("click", () => action(value));
    byId(group).append(button);
  }
}

function start() {
  painter = makePainter(view);
  fitCanvases();
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
  byId("steps").hidden = meta.names.length < 2;
  byId("slider").max = meta.names.length - 1;
  byId("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
  byId("back").addEventListener("click", () => goTo(state.index - 1));
  byId("next").addEventListener("click", () => goTo(state.index + 1));
  byId("play").addEventListener("click", togglePlay);
  setInterval(() => { if (state.isPlaying) goTo((state.index + 1) % meta.names.length); }, 250);
  setInterval(() => { if (state.show === "blink") { state.blinkTruth = !state.blinkTruth; redraw(); } }, 700);
  window.addEventListener("keydown", onKey);
  window.addEventListener("resize", redraw);
  listenToPointer();
  return goTo(0);
}

// For scripts: the state, where a point is on the screen, and a promise of the first scan.
window.lidarpan = {
  state,
  screenOf(point, set = setsShown()[0]) {
    const shown = viewsShown().find((one) => one.name === set), ratio = pixelRatio();
    const at = project(shown.matrix, ...state.scan.points.subarray(3 * point, 3 * point + 3), shown.width, view.height);
    return at && [(at[0] + shown.left) / ratio, at[1] / ratio];
  },
};
try { window.lidarpan.ready = start(); } catch (error) { problem(error); throw error; }
