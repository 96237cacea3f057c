// What is written over the points: names of objects, metres of the rings, headings.
function writeOverlay(canvas, views, scan, options) {
  const pen = canvas.getContext("2d"), ratio = options.ratio;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineJoin = "round";
  pen.textBaseline = "middle";
  for (const view of views) {
    pen.save();
    pen.beginPath();
    pen.rect(view.left, 0, view.width, canvas.height);
    pen.clip();
    const taken = options.reserved.map((box) => box.map((edge) => edge * ratio));
    const write = makeWriter(pen, view, taken, ratio);
    if (options.heading[view.name]) {
      write(options.heading[view.name], view.left + view.width / 2, 20 * ratio, "#eceef2", 14, true);
    }
    if (scan && options.hasLabels && scan[view.name]) {
      const instances = scan[view.name].instances
        .filter((one) => !options.hidden.has(one.class))
        .sort((a, b) => b.points - a.points);
      for (const one of instances) {
        const spot = project(view.matrix, one.center[0], one.center[1], one.high, view.width, canvas.height);
        if (!spot || Math.abs(spot[2]) > 1) continue;
        const text = `${options.classes[one.class].name} ${one.id}`;
        write(text, view.left + spot[0], spot[1] - 9 * ratio, "#eceef2", 11, false);
      }
    }
    for (let radius = 10; scan && radius <= 80; radius += 10) {
      const side = radius * Math.SQRT1_2;
      const spot = project(view.matrix, side, -side, scan.bottom, view.width, canvas.height);
      if (spot && Math.abs(spot[2]) <= 1) write(`${radius} m`, view.left + spot[0], spot[1], "#a0a6b0", 11, false);
    }
    pen.restore();
  }
  if (views.length === 2) {
    pen.fillStyle = "#3a3f49";
    pen.fillRect(views[1].left - ratio, 0, 2 * ratio, canvas.height);
  }
}

function makeWriter(pen, view, taken, ratio) {
  return (text, x, y, color, size, always) => {
    pen.font = `${size * ratio}px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;
    const half = pen.measureText(text).width / 2 + 3 * ratio, tall = size * 0.75 * ratio;
    const box = [x - half, y - tall, x + half, y + tall];
    const isFree = taken.every((o) => box[2] < o[0] || box[0] > o[2] || box[3] < o[1] || box[1] > o[3]);
    if (!always && (!isFree || box[0] < view.left || box[2] > view.left + view.width)) return;
    taken.push(box);
    pen.textAlign = "center";
    pen.lineWidth = 3 * ratio;
    pen.strokeStyle = "rgba(17, 19, 24, .9)";
    pen.strokeText(text, x, y);
    pen.fillStyle = color;
    pen.fillText(text, x, y);
  };
}
