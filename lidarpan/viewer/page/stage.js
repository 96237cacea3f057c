// The stage: three.js draws points as round dots that shrink with distance, and lines.
const FIELD_OF_VIEW = 0.9; // radians, top to bottom
const START = { eye: [-27.185, 0, 23.403], target: [7, 0, -1] };
const ABOVE = { eye: [-0.001, 0, 105], target: [0, 0, 0] }; // a hair behind: forward is up
const POINT_VERTEX = `
uniform float size; uniform vec2 sizes;
varying vec3 tint;
void main() {
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  gl_PointSize = clamp(size * projectionMatrix[1][1] / gl_Position.w, sizes.x, sizes.y);
  if (color.a == 0.0) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  tint = color.rgb;
}`;
const POINT_FRAGMENT = `
varying vec3 tint;
void main() {
  vec2 away = gl_PointCoord - 0.5;
  if (dot(away, away) > 0.25) discard;
  gl_FragColor = vec4(tint, 1.0);
}`;
THREE.Object3D.DEFAULT_UP.set(0, 0, 1);
THREE.ColorManagement.enabled = false; // colours reach the screen as they are given

// One camera for all panes, each an element that turns, moves and zooms it.
function makeStage(canvas, panes, onMove) {
  const context = canvas.getContext("webgl2", { antialias: true, alpha: false });
  if (!context) throw new Error("this browser offers no WebGL 2");
  const renderer = new THREE.WebGLRenderer({ canvas, context });
  renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
  renderer.sortObjects = false;
  renderer.setClearColor(0x111318);
  const uniforms = { size: { value: 1 }, sizes: { value: [1, 1] } };
  const dots = new THREE.ShaderMaterial({
    uniforms, vertexColors: true, vertexShader: POINT_VERTEX, fragmentShader: POINT_FRAGMENT,
  });
  const strokes = new THREE.LineBasicMaterial({ vertexColors: true });
  const scenes = { labels: new THREE.Scene(), truth: new THREE.Scene() };
  const slanted = new THREE.PerspectiveCamera((FIELD_OF_VIEW * 180) / Math.PI, 1, 0.1, 1200);
  const flat = new THREE.OrthographicCamera(-1, 1, 1, -1, -600, 1200);
  const target = new THREE.Vector3(), spot = new THREE.Vector3();
  let camera = slanted;
  const controls = panes.map((pane) => {
    const one = new THREE.OrbitControls(camera, pane);
    Object.assign(one, {
      target, zoomToCursor: true, screenSpacePanning: false, maxPolarAngle: Math.PI / 2 + 0.15,
      minDistance: 1.5, maxDistance: 500, minZoom: 0.2, maxZoom: 70, zoomSpeed: 3,
    });
    one.mouseButtons.MIDDLE = THREE.MOUSE.PAN;
    one.addEventListener("change", onMove);
    pane.addEventListener("pointerenter", (event) => { one.zoomSpeed = event.pointerType === "touch" ? 1 : 3; });
    return one;
  });

  function put(scene, Kind, material, attributes) {
    const geometry = new THREE.BufferGeometry();
    for (const [name, attribute] of Object.entries(attributes)) geometry.setAttribute(name, attribute);
    const made = new Kind(geometry, material);
    made.frustumCulled = false;
    scene.add(made);
    return made;
  }

  return {
    look(isFlat) {
      const { eye, target: center } = isFlat ? ABOVE : START;
      camera = isFlat ? flat : slanted;
      camera.position.set(...eye);
      camera.zoom = 1;
      target.set(...center);
      for (const one of controls) {
        one.object = camera;
        one.enableRotate = !isFlat;
        one.mouseButtons.LEFT = isFlat ? THREE.MOUSE.PAN : THREE.MOUSE.ROTATE;
        one.touches.ONE = isFlat ? THREE.TOUCH.PAN : THREE.TOUCH.ROTATE;
        one.update();
      }
    },
    // lines: x y z r g b of both ends of each
    fill(name, scan, colors, lines) {
      const scene = scenes[name];
      for (const old of scene.children) old.geometry.dispose();
      scene.clear();
      const points = put(scene, THREE.Points, dots, {
        position: new THREE.BufferAttribute(scan.places, 4, true), color: new THREE.BufferAttribute(colors, 4, true),
      });
      points.position.set(...scan.low);
      points.scale.set(...scan.extent);
      const ends = new THREE.InterleavedBuffer(new Float32Array(lines), 6);
      put(scene, THREE.LineSegments, strokes, {
        position: new THREE.InterleavedBufferAttribute(ends, 3, 0), color: new THREE.InterleavedBufferAttribute(ends, 3, 3),
      });
    },
    // Makes the camera fit panes of that many pixels.
    fit(width, height) {
      const aspect = width / Math.max(1, height), top = ABOVE.eye[2] * Math.tan(FIELD_OF_VIEW / 2);
      slanted.aspect = aspect;
      Object.assign(flat, { left: -top * aspect, right: top * aspect, top, bottom: -top });
      camera.updateProjectionMatrix();
      camera.updateMatrixWorld();
    },
    // World point to [column, row, metres from the eye's plane] in a view; null before or behind what it shows.
    project(shown, x, y, z) {
      const depth = -spot.set(x, y, z).applyMatrix4(camera.matrixWorldInverse).z;
      spot.applyMatrix4(camera.projectionMatrix);
      if (!(Math.abs(spot.z) <= 1)) return null;
      return [shown.left + (spot.x + 1) * 0.5 * shown.width, (1 - spot.y) * 0.5 * shown.height, depth];
    },
    // Metres on the target's plane per pixel.
    metersPerPixel: (height) =>
      (2 * (camera === flat ? 1 : controls[0].getDistance())) / (camera.projectionMatrix.elements[5] * height),
    resize(width, height, ratio) {
      renderer.setPixelRatio(ratio);
      renderer.setSize(width, height, false);
    },
    draw(views, pointScale) {
      const height = canvas.clientHeight, ratio = renderer.getPixelRatio();
      uniforms.size.value = 0.065 * pointScale * height * ratio;
      uniforms.sizes.value = [1.6 * ratio * Math.sqrt(pointScale), 14 * ratio];
      renderer.setScissorTest(false);
      renderer.clear();
      renderer.setScissorTest(true);
      for (const shown of views) {
        renderer.setViewport(shown.left, 0, shown.width, height);
        renderer.setScissor(shown.left, 0, shown.width, height);
        renderer.render(scenes[shown.name], camera);
      }
    },
  };
}
