// Scans: fetched or taken from the page, unpacked once, a few kept.
const KEPT_SCANS = 24;
const keptScans = new Map();

async function packedBytes(index, embedded) {
  if (!embedded) {
    const answer = await fetch(`scan/${index}`);
    if (!answer.ok) throw new Error(`scan ${index}: ${await answer.text()}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
  const text = atob(document.getElementById(`scan${index}`).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function unpack(buffer) {
  const headerSize = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerSize)));
  const n = header.count;
  let offset = 4 + headerSize;
  const wide = () => { const part = new Uint16Array(buffer, offset, n); offset += 2 * n; return part; };
  const narrow = () => { const part = new Uint8Array(buffer, offset, n); offset += n; return part; };
  const steps = [wide(), wide(), wide()];
  const scan = { count: n, low: header.low, extent: header.extent, labels: null, truth: null, error: null };
  for (const key of ["labels", "truth"]) {
    if (header[key]) scan[key] = { instances: header[key], instance: wide(), semantic: null };
  }
  scan.intensity = narrow();
  for (const key of ["labels", "truth"]) if (scan[key]) scan[key].semantic = narrow();
  if (scan.labels && scan.truth) scan.error = narrow();
  scan.places = new Uint16Array(4 * n); // steps, padded to 8 bytes
  scan.points = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) {
    for (let axis = 0; axis < 3; axis++) {
      scan.places[4 * i + axis] = steps[axis][i];
      scan.points[3 * i + axis] = header.low[axis] + (header.extent[axis] * steps[axis][i]) / 65535;
    }
  }
  [scan.bottom, scan.top] = heightLimits(scan);
  scan.brightest = Math.max(1, quantile(scan.intensity, 0.99));
  return scan;
}

function quantile(values, share) {
  const sample = values.filter((_, i) => i % 7 === 0).sort();
  return sample.length ? sample[Math.floor(share * (sample.length - 1))] : 0;
}

function heightLimits(scan) {
  const z = new Float32Array(scan.count);
  for (let i = 0; i < scan.count; i++) z[i] = scan.points[3 * i + 2];
  return [quantile(z, 0.01), quantile(z, 0.98)];
}

function loadScan(index, embedded) {
  if (!keptScans.has(index)) {
    const loading = packedBytes(index, embedded).then(async (bytes) => {
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return unpack(await new Response(stream).arrayBuffer());
    });
    loading.catch(() => keptScans.delete(index));
    keptScans.set(index, loading);
    if (keptScans.size > KEPT_SCANS) keptScans.delete(keptScans.keys().next().value);
  }
  return keptScans.get(index);
}
