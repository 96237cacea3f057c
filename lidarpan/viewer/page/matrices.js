// Camera: looks at a target from a yaw, a pitch and a distance; 4 x 4 matrices are column-major.
const FIELD_OF_VIEW = 0.9; // radians, top to bottom

function makeCamera() {
  return { target: [7, 0, -1], yaw: Math.PI, pitch: 0.62, distance: 42, isFlat: false };
}

function cameraAxes(camera) {
  const cp = Math.cos(camera.pitch), sp = Math.sin(camera.pitch);
  const cy = Math.cos(camera.yaw), sy = Math.sin(camera.yaw);
  return {
    back: [cp * cy, cp * sy, sp], // from the target to the eye
    up: [-sp * cy, -sp * sy, cp],
    right: [-sy, cy, 0],
  };
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

function clipFromWorld(camera, aspect) {
  const { back, up, right } = cameraAxes(camera);
  const eye = camera.target.map((t, i) => t + camera.distance * back[i]);
  const near = camera.isFlat ? -600 : Math.max(0.1, camera.distance / 200), far = 1200;
  const rows = [right, up, back].map((axis) => [...axis, -dot(axis, eye)]);
  let px, py, a, b, wz, w1;
  if (camera.isFlat) {
    py = 1 / (camera.distance * Math.tan(FIELD_OF_VIEW / 2));
    [a, b, wz, w1] = [-2 / (far - near), -(far + near) / (far - near), 0, 1];
  } else {
    py = 1 / Math.tan(FIELD_OF_VIEW / 2);
    [a, b, wz, w1] = [-(far + near) / (far - near), (-2 * far * near) / (far - near), -1, 0];
  }
  px = py / aspect;
  const matrix = new Float32Array(16);
  for (let c = 0; c < 4; c++) {
    const last = c === 3 ? 1 : 0;
    matrix[c * 4] = px * rows[0][c];
    matrix[c * 4 + 1] = py * rows[1][c];
    matrix[c * 4 + 2] = a * rows[2][c] + b * last;
    matrix[c * 4 + 3] = wz * rows[2][c] + w1 * last;
  }
  return matrix;
}

// World point to [column, row, depth, distance] in a viewport of width x height; null behind the eye.
function project(matrix, x, y, z, width, height) {
  const w = matrix[3] * x + matrix[7] * y + matrix[11] * z + matrix[15];
  if (w <= 0) return null;
  const u = (matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12]) / w;
  const v = (matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13]) / w;
  const depth = (matrix[2] * x + matrix[6] * y + matrix[10] * z + matrix[14]) / w;
  return [(u + 1) * 0.5 * width, (1 - v) * 0.5 * height, depth, w];
}

// Metres on the target's plane per pixel.
const metersPerPixel = (camera, height) => (2 * camera.distance * Math.tan(FIELD_OF_VIEW / 2)) / height;

function orbit(camera, dx, dy) {
  camera.yaw -= dx * 0.006;
  camera.pitch = Math.min(Math.PI / 2, Math.max(-0.15, camera.pitch + dy * 0.006));
}

function pan(camera, dx, dy, height) {
  const { right } = cameraAxes(camera);
  const scale = metersPerPixel(camera, height);
  const ahead = [-Math.cos(camera.yaw), -Math.sin(camera.yaw)];
  for (let i = 0; i < 2; i++) camera.target[i] += scale * (-dx * right[i] + dy * ahead[i]);
}

function zoom(camera, factor, fromCenterX, fromCenterY, height) {
  const before = camera.distance;
  camera.distance = Math.min(500, Math.max(1.5, before * factor));
  const share = 1 - camera.distance / before;
  camera.distance = before;
  pan(camera, -fromCenterX * share, -fromCenterY * share, height); // keeps what is under the mouse
  camera.distance = before * (1 - share);
}
