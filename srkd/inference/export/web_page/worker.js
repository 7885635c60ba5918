// One picture through one network, tile by tile. Tiles overlap by the network's receptive field: the result is that of
// the whole picture. All tiles are equally large, so that the runtime plans its memory once.
const TILE = 128; // low-resolution pixels that a tile contributes along each axis

function spans(length, margin) {
  const count = Math.ceil(length / TILE);
  const edge = (part) => Math.floor((length * part) / count);
  const kept = Array.from({ length: count }, (_, part) => [edge(part), edge(part + 1)]);
  const size = Math.min(Math.max(...kept.map(([first, last]) => last - first)) + 2 * margin, length);
  return kept.map(([first, last]) => ({ first, last, size, start: Math.min(Math.max(first - margin, 0), length - size) }));
}

// [1, 3, height, width] in 0..1 of a window of RGBA pixels
function cut({ data, width }, rows, columns) {
  const plane = rows.size * columns.size;
  const values = new Float32Array(3 * plane);
  for (let y = 0, i = 0; y < rows.size; y++) {
    let from = 4 * ((rows.start + y) * width + columns.start);
    for (let x = 0; x < columns.size; x++, i++, from += 4) {
      values[i] = data[from] / 255;
      values[plane + i] = data[from + 1] / 255;
      values[2 * plane + i] = data[from + 2] / 255;
    }
  }
  return values;
}

// The kept part of a result as opaque RGBA pixels
function paste(values, rows, columns, scale) {
  const plane = rows.size * columns.size * scale * scale;
  const [height, width] = [rows, columns].map(({ first, last }) => (last - first) * scale);
  const pixels = new Uint8ClampedArray(4 * height * width); // clamps, and rounds to nearest
  for (let y = 0, to = 0; y < height; y++) {
    let i = ((rows.first - rows.start) * scale + y) * columns.size * scale + (columns.first - columns.start) * scale;
    for (let x = 0; x < width; x++, i++, to += 4) {
      pixels[to] = values[i] * 255;
      pixels[to + 1] = values[plane + i] * 255;
      pixels[to + 2] = values[2 * plane + i] * 255;
      pixels[to + 3] = 255;
    }
  }
  return new ImageData(pixels, width, height);
}

// The network sees colours only: transparency is the browser's enlargement of it.
function transparency({ data, width, height }, scale) {
  if (!data.some((value, index) => index % 4 === 3 && value < 255)) return null;
  const small = new OffscreenCanvas(width, height);
  const alpha = new ImageData(width, height);
  for (let i = 0; i < data.length; i += 4) alpha.data.set([0, 0, 0, data[i + 3]], i);
  small.getContext("2d").putImageData(alpha, 0, 0);
  const large = new OffscreenCanvas(width * scale, height * scale).getContext("2d");
  large.imageSmoothingQuality = "high";
  large.drawImage(small, 0, 0, width * scale, height * scale);
  return large;
}

async function upscale({ pixels, scale, margin, provider, file }) {
  const began = performance.now();
  const ort = await import(provider === "webgpu" ? "./runtime/ort.webgpu.min.mjs" : "./runtime/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("runtime/", self.location.href).href;
  // Threads share memory, which browsers allow only to pages that are served with two headers (docs/deploy.md).
  const threads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(new URL(file, self.location.href).href, { executionProviders: [provider] });
  const alpha = transparency(pixels, scale);
  const loading = performance.now() - began;
  const windows = spans(pixels.height, margin).flatMap((rows) => spans(pixels.width, margin).map((columns) => [rows, columns]));
  let milliseconds = 0;
  for (const [index, [rows, columns]] of windows.entries()) {
    const start = performance.now();
    const lq = new ort.Tensor("float32", cut(pixels, rows, columns), [1, 3, rows.size, columns.size]);
    const { sr } = await session.run({ lq });
    const tile = paste(await sr.getData(), rows, columns, scale);
    milliseconds += performance.now() - start;
    const [x, y] = [columns.first * scale, rows.first * scale];
    if (alpha) {
      const { data } = alpha.getImageData(x, y, tile.width, tile.height);
      for (let i = 3; i < data.length; i += 4) tile.data[i] = data[i];
    }
    self.postMessage({ tile, x, y, done: (index + 1) / windows.length }, [tile.data.buffer]);
  }
  self.postMessage({ milliseconds, loading, threads, provider });
}

self.onmessage = ({ data }) => upscale(data).catch((error) => self.postMessage({ error: error.message }));
