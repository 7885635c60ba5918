"""Show versions, devices, and what is missing, with the command that installs it. It never fails."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator

from srkd.cli.display import show_json, show_table
from srkd.provenance import cpu_name, provenance, version_of

PACKAGES = (
    *("torch", "torchvision", "numpy", "opencv-python", "kornia", "scikit-image", "pydantic", "safetensors", "rich"),
)
OPTIONAL = {
    "basicsr": "comparison with BasicSR and its training loop: pip install basicsr (Python below 3.13)",
    "spandrel": 'weight files of other projects: pip install -e ".[spandrel]"',
    "onnx": 'export to .onnx: pip install -e ".[export]"',
    "onnxruntime": 'export to .onnx: pip install -e ".[export]"',
    "onnxscript": 'export to .onnx: pip install -e ".[export]"',
    "openvino": 'a second check of .onnx files: pip install -e ".[openvino]"',
    "lmdb": "LMDB data sets: pip install lmdb",
    "lpips": "the LPIPS metric: pip install lpips",
    "tensorboardX": "logger.use_tb_logger: pip install tensorboardX",
    "wandb": 'logger.wandb: pip install -e ".[wandb]"',
}

Line = tuple[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(args: argparse.Namespace) -> int:
    """Print a table; always 0."""
    from srkd.table import Column, Table

    sections = (versions, devices, optional_packages, basicsr, data_sets)
    rows = [line for section in sections for line in attempt(section)]
    show_json(dict(rows))
    show_table(Table([Column("what", "name"), Column("found", "name")], [*rows]))
    return 0


def attempt(section: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """The lines of a section; a machine that is broken enough to fail here is what this command is for."""
    try:
        yield from section()
    except Exception as error:
        yield section.__name__.replace("_", " "), f"failed: {type(error).__name__}: {error}"


def versions() -> Iterator[Line]:
    """Python, srkd and the packages it needs."""
    own = provenance()
    yield "srkd", f"{own['version']} {own['git']}".strip()
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in PACKAGES:
        yield package, version_of(package) or "missing: make install, in the checkout of srkd"


def devices() -> Iterator[Line]:
    """Processor, threads and accelerators."""
    import torch

    from srkd.inference.device import available_devices

    yield "processor", f"{cpu_name()}, {torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        yield f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB, CUDA {torch.version.cuda}"
    yield "device auto", available_devices()[0]


def optional_packages() -> Iterator[Line]:
    """Packages that enable something, and what is missing without them."""
    for package, use in OPTIONAL.items():
        yield package, version_of(package) or f"missing; needed for {use}"


def basicsr() -> Iterator[Line]:
    """Whether BasicSR, if it is there, can be imported."""
    from srkd.compat.basicsr import import_basicsr

    if version_of("basicsr"):
        import_basicsr()
        yield "import basicsr", "works"


def data_sets() -> Iterator[Line]:
    """Known test sets."""
    from srkd.evaluation.sets import datasets_root, known_sets

    root, found = datasets_root(), known_sets()
    if not root.is_dir():
        yield "test sets", f"no folder {root} (see datasets/README.md; $SRKD_DATASETS names another place)"
    else:
        yield "test sets", f"{', '.join(found) or 'none'} below {root}"
