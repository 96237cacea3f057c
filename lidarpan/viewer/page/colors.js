// The colour of every point: four bytes each, the last one 0 for points that are hidden.
const DIMMED = 0.3;

// The object a point belongs to, null for none; one below the least score is none, and its points are void.
const isUnsure = (one) => one.score !== null && one.score < state.leastScore;
function objectOf(labels, i) {
  const one = labels.instance[i] ? labels.instances[labels.instance[i] - 1] : null;
  return one && !isUnsure(one) ? one : null;
}
const classOf = (labels, i) => (labels.instance[i] && !objectOf(labels, i) ? 0 : labels.semantic[i]);

function colorPoints(scan, set, mode, meta, hidden, selected) {
  const colors = new Uint8Array(4 * scan.count);
  const labels = scan[set];
  const pick = colorPicker(scan, labels, mode, meta);
  for (let i = 0; i < scan.count; i++) {
    const rgb = pick(i);
    let weight = 1, white = 0;
    if (selected && labels) {
      if (selected.set === set && labels.instance[i] === selected.index) white = 0.25;
      else weight = DIMMED;
    }
    for (let c = 0; c < 3; c++) colors[4 * i + c] = weight * rgb[c] + white * (255 - rgb[c]);
    colors[4 * i + 3] = labels && hidden.has(classOf(labels, i)) ? 0 : 255;
  }
  return colors;
}

function colorPicker(scan, labels, mode, meta) {
  const ramp = meta.ramp, span = Math.max(1e-3, scan.top - scan.bottom);
  const step = (share) => ramp[Math.max(0, Math.min(255, Math.round(255 * share)))];
  switch (mode) {
    case "height": return (i) => step((scan.points[3 * i + 2] - scan.bottom) / span);
    case "intensity": return (i) => step(Math.sqrt(scan.intensity[i] / scan.brightest));
    case "error": return (i) => meta.errors[scan.error[i]].color;
    case "semantic": return (i) => meta.classes[classOf(labels, i)].color;
    case "instance": return (i) => objectOf(labels, i)?.hue ?? meta.noInstance;
    case "confidence":
      return (i) => { const score = objectOf(labels, i)?.score ?? null; return score === null ? meta.noInstance : step(score); };
    default:
      return (i) => objectOf(labels, i)?.shade ?? meta.classes[classOf(labels, i)].color;
  }
}

// Lines of instance outlines (prisms) and range rings: flat arrays of x y z r g b, two per line; colours to 1.
function outlineLines(scan, set, mode, hidden, selected) {
  const labels = scan[set], lines = [];
  if (!labels) return lines;
  labels.instances.forEach((instance, k) => {
    if (hidden.has(instance.class) || isUnsure(instance) || Math.max(...instance.size) > 25 || instance.hull.length < 3) return;
    const isSelected = selected && selected.set === set && selected.index === k + 1;
    if (selected && !isSelected) return;
    const base = mode === "instance" ? instance.hue : instance.shade;
    const rgb = isSelected ? [1, 1, 1] : base.map((c) => (0.55 * c) / 255 + 0.45);
    instance.hull.forEach(([x, y], j) => {
      const [nx, ny] = instance.hull[(j + 1) % instance.hull.length];
      for (const z of [instance.low, instance.high]) lines.push(x, y, z, ...rgb, nx, ny, z, ...rgb);
      lines.push(x, y, instance.low, ...rgb, x, y, instance.high, ...rgb);
    });
    for (const way of instance.motion ?? []) {
      for (let j = 1; j < way.length; j++) {
        for (const [x, y] of [way[j - 1], way[j]]) lines.push(x, y, instance.low, ...rgb);
      }
    }
  });
  return lines;
}

function ringLines(bottom) {
  const lines = [], rgb = [0.275, 0.294, 0.33];
  for (let radius = 10; radius <= 80; radius += 10) {
    for (let k = 0; k < 128; k++) {
      for (const angle of [(k / 64) * Math.PI, ((k + 1) / 64) * Math.PI]) {
        lines.push(radius * Math.cos(angle), radius * Math.sin(angle), bottom, ...rgb);
      }
    }
  }
  const arrow = [[1.6, 0], [-1.1, 0.9], [-0.6, 0], [-1.1, -0.9]];
  arrow.forEach(([x, y], k) => {
    const [nx, ny] = arrow[(k + 1) % 4];
    lines.push(x, y, 0, 1, 1, 1, nx, ny, 0, 1, 1, 1);
  });
  return lines;
}
