"""An ONNX file as a network: `load_network("x.onnx")` runs it in onnxruntime or OpenVINO, on the CPU.

Whoever wrote it: one input [B, C, h, w] in [0, 1], one output [B, C', s·h, s·w]. Its weights are the network's
parameters, so that they are counted; nothing trains them, and no cast changes what the runtime computes.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional as F

from srkd.compat.foreign import Foreign, foreign, pad_to
from srkd.missing import not_there
from srkd.types import InputError

OnnxRuntime = Literal["onnxruntime", "openvino"]

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu", "LayerNormalization", "BatchNormalization")


def onnx_network(path: str | Path, *, runtime: OnnxRuntime = "onnxruntime", precision: str = "f32") -> Foreign:
    """The network of an `.onnx` file.

    Args:
        path: the file; what srkd wrote says its scale, others' is found out from what comes out.
        runtime: what runs it.
        precision: of floating point in OpenVINO: `f32`, or `bf16` where the processor has it.

    Raises:
        InputError: the file cannot be read, the runtime is not installed, or it is no super-resolution network of one
            image to one.
    """
    path = Path(path)
    graph = Graph(path, runtime, precision)
    network = foreign(
        "ONNX",
        graph,
        scale=graph.scale,
        num_in_ch=graph.channels,
        config={"path": str(path), "runtime": runtime, "precision": graph.precision},
    )
    field = graph.about.get("receptive_field", "")
    network.receptive_field = int(field) if field.isdecimal() and not graph.size else None
    return network


class Graph(nn.Module):
    """What an `.onnx` file computes, [B, C, h, w] -> [B, C', s·h, s·w].

    Where the file takes one size only, smaller images are enlarged to it and the result is cut; where it takes one
    image at a time, so does this.

    Attributes:
        about: the file's metadata.
        channels: C.
        size: height and width where the file takes no other; None: any.
        scale: s.
        precision: what it computes in: `int8`, `fp32`, `bf16`, `fp16`.
    """

    def __init__(self, path: Path, runtime: OnnxRuntime, precision: str) -> None:
        super().__init__()
        self._made_of = path, runtime, precision
        model = _read(path)
        self._model = model
        self.about = {item.key: item.value for item in model.metadata_props}
        weights = {tensor.name: tensor for tensor in model.graph.initializer}
        inputs = [item for item in model.graph.input if item.name not in weights]
        shape = [item.dim_value for item in inputs[0].type.tensor_type.shape.dim] if inputs else []
        if len(inputs) != 1 or len(model.graph.output) != 1 or len(shape) != 4 or shape[1] not in (1, 3):
            raise InputError(
                f"{path} does not take one image of 1 or 3 channels and make one of it (it has {len(inputs)} inputs, "
                f"the first {shape}, and {len(model.graph.output)} outputs): srkd cannot run it."
            )
        self._input, self.channels, self._one_by_one = inputs[0].name, shape[1], shape[0] == 1
        self.size: tuple[int, int] | None = (shape[2], shape[3]) if shape[2] and shape[3] else None
        kinds = Counter(node.op_type for node in model.graph.node)
        self.precision = "int8" if kinds["QuantizeLinear"] else {"f32": "fp32"}.get(precision, precision)
        self._register(model, weights)
        self._run = session(path, runtime, precision)
        side = self.size or (16, 24)
        made = self._run(torch.zeros(1, self.channels, *side))
        self.scale = made.shape[-1] // side[1] if made.ndim == 4 else 0
        if self.scale < 1:
            raise InputError(
                f"{path} makes {list(made.shape)} of an image {[1, self.channels, *side]}: not a larger one."
            )

    def __reduce__(self) -> tuple[type[Graph], tuple[Path, OnnxRuntime, str]]:
        return Graph, self._made_of  # sessions are neither pickled nor copied

    def __deepcopy__(self, known: dict[int, Any]) -> Graph:
        """Itself: nothing in it changes."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Run the file; on tensors without values, its shapes."""
        if isinstance(x, FakeTensor):
            return self._shapes_only(x)
        rows, columns = x.shape[-2:]
        if self.size:
            if rows > self.size[0] or columns > self.size[1]:
                raise InputError(
                    f"{self._made_of[0]} takes images of {self.size[0]} × {self.size[1]} pixels only, and this one is "
                    f"{rows} × {columns}: upscale it in windows (--tile {max(min(self.size) - 64, 16)}), or export "
                    "without --size."
                )
            x = pad_to(x, *self.size)
        plain = x.float().contiguous().cpu()
        made = torch.cat([self._run(part) for part in plain.split(1)]) if self._one_by_one else self._run(plain)
        return made[..., : self.scale * rows, : self.scale * columns].to(x.device)

    def _register(self, model: Any, weights: dict[str, Any]) -> None:
        """The weights of convolutions and the like as parameters, in the type that the file has them in."""
        numpy_helper = importlib.import_module("onnx.numpy_helper")
        integers = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
        for node in model.graph.node:
            for name in node.input[1:] if node.op_type in _WEIGHTED else ():
                tensor = weights.get(integers.get(name, name))
                if tensor is not None and tensor.dims:
                    value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
                    self.register_parameter(tensor.name.replace(".", "_"), nn.Parameter(value, requires_grad=False))

    def _shapes_only(self, x: Tensor) -> Tensor:
        """The same operations on tensors without values: what counts multiply-adds and memory sees them go by."""
        shapes = _shapes(self._model, list(x.shape))
        left = Counter(name for node in self._model.graph.node for name in node.input)
        alive = {self._input: x}
        for node in self._model.graph.node:
            shape = shapes.get(node.output[0]) if node.output else None
            if shape and node.op_type not in ("QuantizeLinear", "DequantizeLinear", "Constant"):
                given, weight = alive.get(node.input[0]), shapes.get(node.input[1]) if len(node.input) > 1 else None
                alive[node.output[0]] = _computed(x, node, given, weight, shape)
            elif node.input and (source := alive.get(node.input[0])) is not None:
                alive[node.output[0]] = source
            for name in node.input:
                left[name] -= 1
                if not left[name]:
                    alive.pop(name, None)
        batch, _, rows, columns = x.shape
        out = shapes[self._model.graph.output[0].name][1]
        return x.new_zeros(batch, out, self.scale * rows, self.scale * columns)


def _computed(x: Tensor, node: Any, given: Tensor | None, weight: list[int] | None, shape: list[int]) -> Tensor:
    """The output of a node: convolutions and matrix products are done, so that they are seen; others are a shape."""
    if given is not None and weight and node.op_type in ("Conv", "ConvTranspose"):
        options: dict[str, Any] = {item.name: list(item.ints) or item.i for item in node.attribute}
        stride, groups = options.get("strides", [1, 1]), options.get("group", 1)
        pads = options.get("pads", [0, 0, 0, 0])
        if node.op_type == "Conv":
            return F.conv2d(given, x.new_empty(weight), None, stride, pads[:2], groups=groups)
        more = options.get("output_padding", [0, 0])
        return F.conv_transpose2d(given, x.new_empty(weight), None, stride, pads[:2], more, groups)
    if given is not None and weight and node.op_type in ("MatMul", "Gemm") and len(weight) == 2:
        return given @ x.new_empty(weight if given.shape[-1] == weight[0] else weight[::-1])
    return x.new_empty(shape)


def _shapes(model: Any, shape: list[int]) -> dict[str, list[int]]:
    """The shape of every tensor for an input of `shape`, as far as ONNX can tell."""
    onnx = importlib.import_module("onnx")
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for dim in fixed.graph.output[0].type.tensor_type.shape.dim:
        dim.Clear()
    for dim, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    found = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for item in (*inferred.graph.value_info, *inferred.graph.output):
        sizes = [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        if sizes and math.prod(sizes):
            found[item.name] = sizes
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in found:
            found.setdefault(node.output[0], found[node.input[0]])
    return found


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"the model {path} is a folder." if path.is_dir() else not_there(path, "the model"))
    _require("onnx")
    onnx = importlib.import_module("onnx")
    try:
        model = onnx.load(path, load_external_data=False)
        beside = any(tensor.data_location == tensor.EXTERNAL for tensor in model.graph.initializer)
        if not beside:
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, ONNX's, and those of files that are neither
        raise InputError(f"{path} is no valid ONNX file: {str(error).strip().splitlines()[0][:200]}.") from None
    if beside:
        raise InputError(
            f"{path} keeps its weights in files beside it, which srkd does not open: save it as one file "
            "(torch.onnx.export with external_data=False)."
        )
    return model


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        extra = "openvino" if package == "openvino" else "export"
        raise InputError(f'running an .onnx file needs {package}: pip install -e ".[{extra}]"')


def session(path: Path, runtime: OnnxRuntime, precision: str = "f32") -> Callable[[Tensor], Tensor]:
    """Runs [B, C, h, w] on the CPU with as many threads as torch has: a runtime's own choice may name others' cores.

    Left to itself, OpenVINO takes half precision on processors that have it.
    """
    _require(runtime)
    package: Any = importlib.import_module(runtime)
    if runtime == "onnxruntime":
        options = package.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        ready = package.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = ready.get_inputs()[0].name
        return lambda x: torch.from_numpy(ready.run(None, {name: x.contiguous().numpy()})[0])
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    model, one_at_a_time = package.Core().compile_model(path, "CPU", settings), threading.Lock()

    def infer(x: Tensor) -> Tensor:
        with one_at_a_time:
            return torch.from_numpy(model(x.contiguous().numpy())[0].copy())

    return infer
