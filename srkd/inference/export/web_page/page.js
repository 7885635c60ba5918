// The page: choose a picture, a width and a runtime; the work itself is done in worker.js, so that the page stays alive.
const MOST_PIXELS = 100e6; // of the result: what browsers can still draw
const at = (id) => document.getElementById(id);
const state = { networks: null, worker: null, picture: null, name: "", choice: 0 };

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

function chosen() {
  return state.networks.widths[Number(at("width").value)];
}

function describe() {
  const { width, parameters, bytes } = chosen();
  at("width-text").textContent = `${width} (${Math.round(parameters / 1000)} K parameters, ${Math.round(bytes / 1024)} KB)`;
}

function size(image) {
  return `${image.width} × ${image.height}`;
}

async function take(file) {
  const choice = ++state.choice;
  state.worker?.terminate(); // of the picture before, whose progress would hide what is said of this one
  at("progress").hidden = true;
  const picture = await createImageBitmap(file, { premultiplyAlpha: "none" }).catch(() => null);
  if (choice !== state.choice) return; // a later one was opened sooner
  if (!picture) {
    say(`“${file.name}” cannot be opened as a picture. PNG, JPEG, WebP, GIF and BMP are known to every browser.`, true);
    return;
  }
  state.picture = picture;
  state.name = file.name.replace(/\.[^.]*$/, "");
  upscale();
}

function upscale() {
  const { picture, networks } = state;
  if (!picture || !networks) return; // `start` calls again when it has the networks
  const { scale, margin } = networks;
  const [width, height] = [picture.width * scale, picture.height * scale];
  if (width * height > MOST_PIXELS) {
    say(`The picture is ${size(picture)}: ${scale} times as large it would be too large for a browser. Choose a smaller one.`, true);
    return;
  }
  for (const id of ["before", "after"]) Object.assign(at(id), { width, height });
  const before = at("before").getContext("2d");
  before.imageSmoothingQuality = "high";
  before.drawImage(picture, 0, 0, width, height);
  at("after").getContext("2d").drawImage(at("before"), 0, 0); // until the tiles arrive; gives transparency too
  at("stage").hidden = false;
  at("save").hidden = true;
  at("progress").hidden = false;
  at("progress").value = 0;
  say("Loading the network …");
  // A new worker for each job: an unfinished one is simply ended.
  state.worker?.terminate();
  state.worker = new Worker("worker.js", { type: "module" });
  state.worker.onmessage = ({ data }) => receive(data);
  state.worker.onerror = (event) => fail(event.message || "the worker could not be started");
  const source = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  source.drawImage(picture, 0, 0);
  const pixels = source.getImageData(0, 0, picture.width, picture.height);
  const provider = at("provider").value;
  state.worker.postMessage({ pixels, scale, margin, provider, file: chosen().file }, [pixels.data.buffer]);
}

function receive(message) {
  if (message.error) return fail(message.error);
  if (message.tile) {
    at("after").getContext("2d").putImageData(message.tile, message.x, message.y);
    at("progress").value = message.done;
    say(`Upscaling … ${Math.round(message.done * 100)} %`);
    return;
  }
  at("progress").hidden = true;
  const { picture, networks, worker } = state;
  const threads = message.threads === 1 ? "1 thread" : `${message.threads} threads`;
  const where = message.provider === "wasm" ? `WebAssembly, ${threads}` : "WebGPU";
  say(`${size(picture)} to ${size(at("after"))} in ${Math.round(message.milliseconds)} ms (width ${chosen().width}, ${where}; the network was ready in ${Math.round(message.loading)} ms).`);
  at("after").toBlob((blob) => {
    if (worker !== state.worker) return; // the next one has begun
    URL.revokeObjectURL(at("save").href);
    Object.assign(at("save"), { href: URL.createObjectURL(blob), download: `${state.name}_x${networks.scale}.png`, hidden: false });
  });
}

function fail(reason) {
  at("progress").hidden = true;
  say(`This did not work: ${reason}`, true);
}

// Before the networks are there, too: a picture may be chosen as soon as the page is seen.
function listen() {
  const taken = () => at("file").files.length && take(at("file").files[0]);
  at("file").onchange = taken;
  at("divider").oninput = () => at("frame").style.setProperty("--at", `${at("divider").value / 10}%`);
  addEventListener("dragover", (event) => (event.preventDefault(), document.body.classList.add("dropping")));
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else say("That was not a file. Save the picture first, then drop the file.", true);
  });
  addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files[0]));
  taken();
}

async function start() {
  if (location.protocol === "file:") {
    say("A browser does not let a page from a file load its network. In this folder, run: python3 -m http.server — then open http://localhost:8000", true);
    return;
  }
  listen();
  const networks = await (await fetch("networks.json")).json();
  const { name, scale, widths, training_set, data_licence } = networks;
  document.title = `${name} ×${scale} in the browser`;
  at("about").textContent = `${name}, ${scale} times as large. Trained on: ${training_set}. Licence of the data: ${data_licence}.`.replaceAll("`", "");
  Object.assign(at("width"), { max: widths.length - 1, value: widths.length - 1, disabled: widths.length < 2 });
  at("ticks").append(...widths.map(({ width }, index) => Object.assign(document.createElement("option"), { value: index, label: String(width) })));
  if (navigator.gpu && (await navigator.gpu.requestAdapter().catch(() => null))) {
    at("provider").add(new Option("graphics card (WebGPU)", "webgpu"));
  }
  at("provider").disabled = at("provider").length < 2;
  at("width").oninput = describe;
  at("width").onchange = upscale;
  at("provider").onchange = upscale;
  state.networks = networks;
  describe();
  upscale();
}

start().catch((error) => fail(error.message));
