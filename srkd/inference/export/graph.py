"""A network as a recorded graph in a file: `.pt2` for PyTorch and `.onnx` for other runtimes, and how to run them back.

A graph has one input `lq` [B, C, height, width] and one output `sr`, in [0, 1], and needs no code of srkd.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Generator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from srkd.compat.onnx_file import OnnxRuntime, session
from srkd.inference.export.parity import TRACED, Forward
from srkd.networks.slim import Network
from srkd.types import InputError

OPSET = 18
PT2_METADATA = "srkd.json"


def require_onnx() -> None:
    """Check that the packages that write and run ONNX files are there.

    Raises:
        InputError: one of them is missing.
    """
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f'ONNX export needs {", ".join(missing)}: pip install -e ".[export]"')


class _OneInput(nn.Module):
    """A network without its `width` argument, which a graph cannot have."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


def record(network: Network, *, size: tuple[int, int] | None = None) -> ExportedProgram:
    """The graph of `network` at full width.

    For one image of `size` (height, width), or for any number of images of any size from 2 × 2 pixels.
    """
    example = torch.rand(1 if size else 2, network.num_in_ch, *(size or TRACED))
    dynamic = None if size else {"lq": {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}}
    with quiet():
        graph = torch.export.export(_OneInput(network).eval(), (example,), dynamic_shapes=dynamic)
    graph.example_inputs = None  # of no use in a file, where they can be larger than the network
    for node in graph.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine, of no use elsewhere
    return graph


def write_pt2(path: Path, graph: ExportedProgram, metadata: Mapping[str, str]) -> None:
    """Write a `.pt2` file with the metadata as JSON in its extra file `srkd.json`."""
    with quiet():
        torch.export.save(graph, path, extra_files={PT2_METADATA: json.dumps(metadata)})


def run_pt2(path: Path) -> Forward:
    """The forward of a `.pt2` file."""
    with quiet():
        module = torch.export.load(path).module()
    return lambda x: module(x)


def write_onnx(path: Path, graph: ExportedProgram, metadata: Mapping[str, str]) -> None:
    """Write an `.onnx` file, weights and metadata inside."""
    import onnx

    names = {"lq": {0: "batch", 2: "height", 3: "width"}} if graph.range_constraints else None  # of what is left open
    with quiet():
        torch.onnx.export(
            graph,
            f=path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=names,
            input_names=["lq"],
            output_names=["sr"],
            opset_version=OPSET,
            verbose=False,
        )
    model = onnx.load(path)
    # The exporter notes where each node came from, in the source and in the modules: of no use elsewhere.
    for item in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del item.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def run_onnx(path: Path) -> dict[str, Forward]:
    """The forward of an `.onnx` file in each runtime that is installed: onnxruntime, and perhaps OpenVINO."""
    runtimes: dict[OnnxRuntime, str] = {"onnxruntime": "onnxruntime", "openvino": "OpenVINO"}
    return {name: session(path, one) for one, name in runtimes.items() if importlib.util.find_spec(one)}


def fix_size(path: Path, size: tuple[int, int]) -> None:
    """Let the `.onnx` file take images of this height and width only; it took any before."""
    import onnx
    from onnxruntime.tools.onnx_model_utils import make_input_shape_fixed

    model = onnx.load(path)
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    make_input_shape_fixed(model.graph, "lq", [1, channels, *size])
    onnx.save(model, path)


def describe_onnx(path: Path, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of an `.onnx` file."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """The exporters talk on stdout, through warnings and through loggers; none of it helps a user of srkd."""
    level = logging.root.manager.disable
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
