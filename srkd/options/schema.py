"""The schema of option files: BasicSR's, block by block, with srkd's additions. Every block is frozen and strict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StrictBool,
    ValidationError,
    model_validator,
)

from srkd.options.components import (
    LOADER_KEYS,
    Component,
    DatasetComponent,
    LossComponent,
    MethodComponent,
    Metric,
    MetricBlock,
    NetworkComponent,
    OptimizerComponent,
    SchedulerComponent,
    TeacherComponent,
)
from srkd.signature import STRICT, Float, Int, Problem, Width, problems_of, raised
from srkd.types import InputError, did_you_mean

Positive = Annotated[Int, Field(ge=1)]
Fraction = Annotated[Float, Field(ge=0, lt=1)]


class Block(BaseModel):
    """A block of an option file: immutable, and its unknown keys are answered with the nearest known one."""

    model_config: ClassVar[ConfigDict] = {**STRICT, "frozen": True, "validate_default": True}

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise raised(problems_of(error, value, list(cls.model_fields))) from None


class DatasetBlock(Block):
    """A dataset with its loader: the keys below beside those of the class that `type` names."""

    name: str
    batch_size_per_gpu: Positive = 16
    num_worker_per_gpu: Annotated[Int, Field(ge=0)] = 4
    component: DatasetComponent
    """The dataset class; its parameter `scale`, where it has one, is `opt.scale` and never in `args`."""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "component" in value:
            return value
        loader = {key: value[key] for key in LOADER_KEYS if key in value}
        return {**loader, "component": {key: item for key, item in value.items() if key not in loader}}


def _by_name(blocks: dict[str, DatasetBlock]) -> dict[str, DatasetBlock]:
    named = {block.name: block for block in blocks.values()}
    if len(named) < len(blocks):
        names = ", ".join(block.name for block in blocks.values())
        raise InputError(f"two datasets have the same name ({names}); results are kept by name")
    return named


def _with_names(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks without a `name` are called by their key."""
    return {key: {"name": key, **block} if isinstance(block, Mapping) else block for key, block in blocks.items()}


DatasetsByName = Annotated[dict[str, DatasetBlock], AfterValidator(_by_name)]


class TrainDatasets(Block):
    """`datasets` of a training file: `train`, and `val`, `val_2`, … as `val` by their names in the file's order."""

    train: DatasetBlock
    # The alias is no key of a file, so it cannot be taken for the key `val` in the path of an error.
    val: DatasetsByName = Field(default_factory=dict[str, DatasetBlock], validation_alias="<val>")

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        named = _with_names(value)
        validation = {key: named.pop(key) for key in value if re.fullmatch(r"val(_\w+)?", key)}
        return {**named, "<val>": validation}


def _test_keys(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    wrong = [key for key in value if not re.fullmatch(r"(test|val)(_\w+)?", key)]
    if wrong:
        message = "unknown key {!r}.{} Allowed: test, test_1, test_2, …"
        raise raised([Problem((key,), message.format(key, did_you_mean(key, ["test", "test_1"]))) for key in wrong])
    return _with_names(value)


class PathBlock(Block):
    """Files that are read and folders that are written."""

    pretrain_network_g: str | None = None
    param_key_g: Literal["params", "params_ema"] | None = None
    """Which weights of the file to take; none: the averaged ones where the file has them."""
    strict_load_g: StrictBool = True
    """False skips tensors of unequal size only, each of them named in the log."""
    pretrain_network_g_teacher: str | None = None
    param_key_g_teacher: Literal["params", "params_ema"] | None = None
    pretrain_network_g_teachers: dict[str, str] = Field(default_factory=dict[str, str])
    """Weights of the networks in `network_g_teachers`, by their names."""
    resume_state: str | None = None
    experiments_root: str | None = None
    results_root: str | None = None


class TrainBlock(Block):
    """How the networks are trained."""

    ema_decay: Fraction = 0.0
    ema_warmup: StrictBool = True
    optim_g: OptimizerComponent
    scheduler: SchedulerComponent | None = None
    total_iter: Positive
    warmup_iter: Annotated[Int, Field(ge=-1)] = -1
    """Iterations over which the learning rate rises linearly from 0; -1: none."""
    pixel_opt: LossComponent = Component("L1Loss")
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Of convolutions (losses are always fp32); auto: bf16 where the device has it in hardware, fp16 on GPUs of 2017 to
    2019 (V100, T4), else fp32. tf32: NVIDIA's GPUs since 2020 round fp32 on the way, which is BasicSR's default."""
    compile: StrictBool | Literal["default", "reduce-overhead", "max-autotune-no-cudagraphs"] = False
    """torch.compile, true: in its default mode."""
    cuda_graph: Literal["auto"] | StrictBool = "auto"
    """Record the whole step as one CUDA graph where that is possible; false: launch it kernel by kernel."""
    accumulate: Positive = 1
    """Batches whose gradients are averaged for one step of the optimiser."""
    frozen_width: Width | None = None
    """The part of network_g at this width stays as path.pretrain_network_g has it; none: all is trained."""
    grad_clip: Annotated[Float, Field(gt=0)] | None = None
    """Largest norm of the gradient; none: not limited."""


class ScoreBlock(Block):
    """How images are scored."""

    save_img: StrictBool = False
    suffix: str | None = None
    widths: Annotated[list[Width], Field(min_length=1)] | None = None
    """Widths to score; none: all that the network was trained for."""
    metrics: dict[str, Metric] = Field(default_factory=dict[str, MetricBlock])


class ValBlock(ScoreBlock):
    """How images are scored during training."""

    val_freq: Positive
    """Iterations between validations."""


class WandbBlock(Block):
    """Weights & Biases; nothing is sent without a `project`."""

    project: str | None = None
    resume_id: str | None = None


class LoggerBlock(Block):
    """What is logged and saved, and how often (in iterations)."""

    print_freq: Positive = 100
    save_checkpoint_freq: Positive = 5000
    use_tb_logger: StrictBool = False
    wandb: WandbBlock | None = None


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or re.search(r"[/\\\x00]", name):
        raise InputError(f"is the name of a folder, so it is neither empty nor a path; the value is {name!r}.")
    return name


def _teacher_names(teachers: dict[str, Component]) -> dict[str, Component]:
    for name in teachers:
        if name == "own" or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InputError(
                f"a teacher's name has letters, digits and _ only, and `own` is the student's own full width; the name "
                f"is {name!r}."
            )
    return teachers


def _device(name: str) -> str:
    kinds = ("auto", "cpu", "cuda", "mps")
    if name not in kinds and not re.fullmatch(r"cuda:\d{1,3}", name):
        near = " Did you mean 'cuda'?" if name.lower() == "gpu" else did_you_mean(name, kinds)
        raise InputError(f"must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'; the value is {name!r}.{near}")
    return name


Device = Annotated[str, AfterValidator(_device)]


class Options(Block):
    """What training and testing have in common."""

    name: Annotated[str, AfterValidator(_plain_name)]
    scale: Positive
    num_gpu: Literal["auto"] | Annotated[Int, Field(ge=0)] = "auto"
    manual_seed: Annotated[Int, Field(ge=0, lt=2**32)] = 0
    device: Device = "auto"
    plugins: list[str] = Field(default_factory=list[str])
    """Modules that are imported before components are looked up."""
    network_g: NetworkComponent
    path: PathBlock = PathBlock()
    _notices: list[str] = PrivateAttr(default_factory=list[str])
    _warnings: list[str] = PrivateAttr(default_factory=list[str])

    @property
    def notices(self) -> list[str]:
        """Lines for the log on keys that mean nothing here, and on what is off; they are no part of equality."""
        return self._notices

    @property
    def warnings(self) -> list[str]:
        """Lines on what is allowed but hardly meant, and on what was left out; they are no part of equality."""
        return self._warnings

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)


class TrainOptions(Options):
    """A training file, read by `load_train_options`."""

    datasets: TrainDatasets
    network_g_teacher: TeacherComponent | None = None
    network_g_teachers: Annotated[dict[str, TeacherComponent], AfterValidator(_teacher_names)] = Field(
        default_factory=dict[str, Component]
    )
    """Several teachers by names of your choice, which the names of losses then end in."""
    method: MethodComponent = Component("Supervised")
    train: TrainBlock
    val: ValBlock | None = None
    """None: nothing is validated during training."""
    logger: LoggerBlock = LoggerBlock()


class TestOptions(Options):
    """A test file, read by `load_test_options`."""

    datasets: Annotated[DatasetsByName, BeforeValidator(_test_keys), Field(min_length=1)]
    """`test_1`, `test_2`, … by their names in the file's order."""
    val: ScoreBlock = ScoreBlock()
