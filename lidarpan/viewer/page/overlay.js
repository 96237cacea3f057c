// What is written over the points: names of objects, metres of the rings, headings.
function writeOverlay(canvas, views, scan, options) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineJoin = "round";
  pen.textBaseline = "middle";
  for (const view of views) {
    pen.save();
    pen.beginPath();
    pen.rect(view.left, 0, view.width, canvas.height);
    pen.clip();
    const write = makeWriter(pen, view, [...options.reserved]);
    if (options.heading[view.name]) {
      write(options.heading[view.name], view.left + view.width / 2, 20, "#eceef2", 14, true);
    }
    if (scan && options.hasLabels && scan[view.name]) {
      const instances = scan[view.name].instances
        .filter((one) => !options.hidden.has(one.class) && !isUnsure(one))
        .sort((a, b) => b.points - a.points);
      for (const one of instances) {
        const spot = stage.project(view, one.center[0], one.center[1], one.high);
        if (!spot) continue;
        const text = `${options.classes[one.class].name} ${one.id}`;
        write(text, spot[0], spot[1] - 9, "#eceef2", 11, false);
      }
    }
    for (let radius = 10; scan && radius <= 80; radius += 10) {
      const side = radius * Math.SQRT1_2;
      const spot = stage.project(view, side, -side, scan.bottom);
      if (spot) write(`${radius} m`, spot[0], spot[1], "#a0a6b0", 11, false);
    }
    pen.restore();
  }
}

function makeWriter(pen, view, taken) {
  return (text, x, y, color, size, always) => {
    pen.font = `${size}px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;
    const half = pen.measureText(text).width / 2 + 3, tall = size * 0.75;
    const box = [x - half, y - tall, x + half, y + tall];
    const isFree = taken.every((o) => box[2] < o[0] || box[0] > o[2] || box[3] < o[1] || box[1] > o[3]);
    if (!always && (!isFree || box[0] < view.left || box[2] > view.left + view.width)) return;
    taken.push(box);
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.strokeStyle = "rgba(17, 19, 24, .9)";
    pen.strokeText(text, x, y);
    pen.fillStyle = color;
    pen.fillText(text, x, y);
  };
}
