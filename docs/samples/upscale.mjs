// Upscale a picture with a network that `srkd export` wrote, in Node.js.
//
//   npm install onnxruntime-node sharp
//   node upscale.mjs small.onnx photo.png large.png
import ort from "onnxruntime-node";
import sharp from "sharp";

const [model, from, to] = process.argv.slice(2);
if (!to) {
  console.error("usage: node upscale.mjs MODEL.onnx IN OUT");
  process.exit(2);
}
const { data, info } = await sharp(from).removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
const pixels = info.width * info.height;
const planes = new Float32Array(3 * pixels); // [1, 3, h, w], RGB in 0..1
for (let i = 0; i < pixels; i++) for (let c = 0; c < 3; c++) planes[c * pixels + i] = data[3 * i + c] / 255;

const session = await ort.InferenceSession.create(model);
const { sr } = await session.run({ lq: new ort.Tensor("float32", planes, [1, 3, info.height, info.width]) });

const [, , height, width] = sr.dims;
const plane = height * width;
const large = new Uint8ClampedArray(3 * plane); // clamps and rounds: the network does neither
for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) large[3 * i + c] = sr.data[c * plane + i] * 255;
await sharp(large, { raw: { width, height, channels: 3 } }).toFile(to);
