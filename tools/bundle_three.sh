#!/usr/bin/env bash
# Bundles the parts of three.js that the viewer's page uses into lidarpan/viewer/page/vendor/three;
# needs npm. The same versions give the same bytes.
set -euo pipefail
three=0.187.0 esbuild=0.28.1
vendor=$(cd "$(dirname "$0")/../lidarpan/viewer/page/vendor/three" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --no-save "three@$three" "esbuild@$esbuild"
cat >entry.js <<'JS'
export {
  BufferAttribute, BufferGeometry, ColorManagement, InterleavedBuffer, InterleavedBufferAttribute,
  LineBasicMaterial, LinearSRGBColorSpace, LineSegments, MOUSE, Object3D, OrthographicCamera,
  PerspectiveCamera, Points, Scene, ShaderMaterial, TOUCH, Vector3, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
JS
cp node_modules/three/LICENSE "$vendor/LICENSE"
{
    printf '/* three.js %s\n\n' "$three"
    cat "$vendor/LICENSE"
    printf '*/\n'
    npx esbuild entry.js --bundle --minify --format=iife --global-name=THREE --target=es2022 \
        --legal-comments=none
} >"$vendor/three.min.js"
