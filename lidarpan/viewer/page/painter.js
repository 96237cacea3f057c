// WebGL 2: points as round dots that shrink with distance, and lines.
const POINT_VERTEX = `#version 300 es
in vec3 place; in vec4 color;
uniform mat4 matrix; uniform vec3 low; uniform vec3 extent; uniform float size; uniform vec2 sizes;
out vec3 tint;
void main() {
  gl_Position = matrix * vec4(low + place * extent, 1.0);
  gl_PointSize = clamp(size / gl_Position.w, sizes.x, sizes.y);
  if (color.a == 0.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  tint = color.rgb;
}`;
const POINT_FRAGMENT = `#version 300 es
precision mediump float;
in vec3 tint; out vec4 pixel;
void main() {
  vec2 away = gl_PointCoord - 0.5;
  if (dot(away, away) > 0.25) discard;
  pixel = vec4(tint, 1.0);
}`;
const LINE_VERTEX = `#version 300 es
in vec3 place; in vec3 color;
uniform mat4 matrix;
out vec3 tint;
void main() { gl_Position = matrix * vec4(place, 1.0); tint = color / 255.0; }`;
const LINE_FRAGMENT = `#version 300 es
precision mediump float;
in vec3 tint; out vec4 pixel;
void main() { pixel = vec4(tint, 1.0); }`;

function makeProgram(gl, vertex, fragment, attributes) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  attributes.forEach((name, slot) => gl.bindAttribLocation(program, slot, name));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return (name) => (name === undefined ? program : gl.getUniformLocation(program, name));
}

function makePainter(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
  if (!gl) throw new Error("this browser offers no WebGL 2");
  const points = makeProgram(gl, POINT_VERTEX, POINT_FRAGMENT, ["place", "color"]);
  const lines = makeProgram(gl, LINE_VERTEX, LINE_FRAGMENT, ["place", "color"]);
  const places = gl.createBuffer();
  const sets = new Map(); // one per label set: its own colours and lines
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.SCISSOR_TEST);
  gl.clearColor(17 / 255, 19 / 255, 24 / 255, 1);
  let scan = null;

  function setOf(name) {
    if (!sets.has(name)) {
      const colors = gl.createBuffer(), pointArray = gl.createVertexArray();
      gl.bindVertexArray(pointArray);
      gl.bindBuffer(gl.ARRAY_BUFFER, places);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.UNSIGNED_SHORT, true, 8, 0);
      gl.bindBuffer(gl.ARRAY_BUFFER, colors);
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, 4, 0);
      const segments = gl.createBuffer(), lineArray = gl.createVertexArray();
      gl.bindVertexArray(lineArray);
      gl.bindBuffer(gl.ARRAY_BUFFER, segments);
      for (const slot of [0, 1]) {
        gl.enableVertexAttribArray(slot);
        gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 24, 12 * slot);
      }
      sets.set(name, { colors, pointArray, segments, lineArray, lineCount: 0 });
    }
    return sets.get(name);
  }

  function fill(buffer, data) {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  }

  return {
    setScan(next) { scan = next; fill(places, scan.places); },
    setColors(name, colors, lineData) {
      const own = setOf(name);
      fill(own.colors, colors);
      fill(own.segments, new Float32Array(lineData));
      own.lineCount = lineData.length / 6;
    },
    // views: [{name, matrix, left, width}] in pixels of the canvas
    draw(views, camera, pointScale, ratio) {
      const height = canvas.height;
      gl.scissor(0, 0, canvas.width, height);
      gl.clear(gl.COLOR_BUFFER_BIT);
      for (const view of views) {
        gl.viewport(view.left, 0, view.width, height);
        gl.scissor(view.left, 0, view.width, height);
        gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
        if (!scan) continue;
        const own = setOf(view.name);
        const perMeter = 1 / metersPerPixel(camera, height);
        const size = 0.13 * pointScale * perMeter * (camera.isFlat ? 1 : camera.distance);
        gl.useProgram(points());
        gl.uniformMatrix4fv(points("matrix"), false, view.matrix);
        gl.uniform3fv(points("low"), scan.low);
        gl.uniform3fv(points("extent"), scan.extent);
        gl.uniform1f(points("size"), size);
        gl.uniform2f(points("sizes"), 1.6 * ratio * Math.sqrt(pointScale), 14 * ratio);
        gl.bindVertexArray(own.pointArray);
        gl.drawArrays(gl.POINTS, 0, scan.count);
        gl.useProgram(lines());
        gl.uniformMatrix4fv(lines("matrix"), false, view.matrix);
        gl.bindVertexArray(own.lineArray);
        gl.drawArrays(gl.LINES, 0, own.lineCount);
      }
    },
  };
}
