"""A web page that upscales a picture in the browser: networks as `.onnx` files, and the runtime beside them.

The page is static files. It asks no other server for anything, and the picture stays on the device.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from srkd.atomic import atomic_path, atomic_write_text
from srkd.data.archives import unpack
from srkd.data.download import Progress, silent
from srkd.data.sources import Source as Download
from srkd.data.sources import fetch, home, mirror_of
from srkd.inference.export.export import Form, Source, Written, export
from srkd.inference.tiling import APPROXIMATE_MARGIN
from srkd.metrics.cost import parameters
from srkd.types import InputError

VERSION = "1.30.0"
RUNTIME = Download(
    what=f"onnxruntime-web {VERSION}",
    url=f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    licence="MIT",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    size=33_106_585,
)
WEBASSEMBLY = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
PAGE = ("style.css", "page.js", "worker.js", "index.html")


def files_of(widths: Sequence[float]) -> list[Path]:
    """What `write_page` writes, relative to its folder."""
    runtime = [Path("runtime") / name for name in WEBASSEMBLY + WEBGPU]
    return [*map(Path, PAGE), Path("networks.json"), *(Path(_file_of(width)) for width in widths), *runtime]


def write_page(
    source: Source,
    folder: Path,
    widths: Sequence[float],
    *,
    form: Form,
    images: Path | None = None,
    progress: Progress = silent,
    written: Callable[[Written], None] = lambda _: None,
) -> list[Written]:
    """Write the page and all it needs into `folder`; older files of these names are replaced.

    Args:
        source: the network, of three channels.
        folder: made where it is missing.
        widths: fractions of the channels that the page's slider offers.
        form: of the `.onnx` files.
        images: pictures that the files are checked on (`export`).
        progress: told how far the download of the runtime is, the first time.
        written: called with each network's file.

    Raises:
        InputError: the network is for one channel, the size is fixed, or the packages for ONNX are missing.
        WorkError: a file does not compute what the network computes, or the runtime cannot be had.
    """
    network = source.network
    if network.num_in_ch != 3:
        raise InputError(f"--web is for networks of colours; this one has {network.num_in_ch} input channel.")
    if form.size:
        raise InputError("--web takes no --size: the page gives its networks tiles of any size.")
    runtime = runtime_folder(progress)
    found: list[Written] = []
    for width in sorted(widths):
        found.append(export(source, folder / _file_of(width), width=width, form=form, images=images))
        written(found[-1])
    for name in WEBASSEMBLY + WEBGPU:
        _copy(runtime / name, folder / "runtime" / name)
    about = {
        "name": type(network).__name__ if source.path is None else source.path.stem,
        "scale": network.scale,
        "margin": APPROXIMATE_MARGIN if network.receptive_field is None else network.receptive_field,
        "training_set": source.training_set or "not recorded",
        "data_licence": source.data_licence or "not recorded",
        "widths": [
            {
                "width": round(file.width, 4),
                "file": file.path.name,
                "bytes": file.path.stat().st_size,
                "parameters": parameters(file.network),
            }
            for file in found
        ],
    }
    atomic_write_text(folder / "networks.json", json.dumps(about, indent=2) + "\n")
    for name in PAGE:  # index.html last: where it is, the rest is
        text = resources.files("srkd.inference.export").joinpath("web_page", name).read_text(encoding="utf-8")
        atomic_write_text(folder / name, text)
    return found


def runtime_folder(progress: Progress = silent) -> Path:
    """The folder with onnxruntime-web's files: downloaded once, or from `$SRKD_MIRROR/web`, and kept in the cache.

    Raises:
        WorkError: it cannot be had, or is not what it should be.
    """
    folder = home("web") / f"onnxruntime-web-{VERSION}"
    if not folder.is_dir():
        archive = fetch(RUNTIME, home("web"), mirror=mirror_of("web"), progress=progress).path
        unpack(archive, folder, inside="package/dist", only=WEBASSEMBLY + WEBGPU)
        archive.unlink()
    return folder


def _file_of(width: float) -> str:
    return f"w{width:.4g}.onnx"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
