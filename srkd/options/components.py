"""Components in option files: `type` names a registered class or function, the other keys are its options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, PlainValidator

from srkd.registry import DATASETS, LOSSES, METHODS, METRICS, NETWORKS, OPTIMIZERS, SCHEDULERS, Registry
from srkd.signature import Problem, check_options, option_names, raised, with_defaults
from srkd.types import InputError, did_you_mean, shortened


@dataclass(frozen=True)
class Component:
    """A registered component with its checked options, the defaults of its signature among them.

    They are spelt out so that the copy of the options in an experiment's folder still means the same when a later
    version of srkd has other defaults.
    """

    type: str
    args: dict[str, Any] = dataclass_field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class MetricBlock(Component):
    """A metric of the validation; `better` says which way is up, for the best value so far."""

    better: Literal["higher", "lower"] = "higher"


LOADER_KEYS = ("name", "batch_size_per_gpu", "num_worker_per_gpu")
"""Keys of a dataset block that are the data loader's; all others are the dataset's."""


def _read(
    registry: Registry[Any], value: Any, *, wired: Collection[str] = (), beside: Collection[str] = ()
) -> tuple[Component, list[Problem]]:
    """Check a mapping `{type: …, option: …}`; `wired` and `beside` as for `check_options`."""
    if isinstance(value, Component):
        value = {"type": value.type, **value.args}
    if not isinstance(value, Mapping):
        return Component(""), [Problem((), f"must be a mapping with a `type`; the value is {shortened(value)}.")]
    options = dict(cast("Mapping[str, Any]", value))
    kind = options.pop("type", None)
    if kind is None:
        return Component(""), [
            Problem(("type",), f"is required but missing. Available: {', '.join(registry.names())}.", absent=True)
        ]
    try:
        component = registry.get(str(kind))
    except InputError as error:
        return Component(""), [Problem(("type",), str(error))]
    args, problems = check_options(component, options, wired=wired, beside=beside)
    return Component(str(kind), with_defaults(component, args)), problems


def _validator(registry: Registry[Any], *, wired: Collection[str] = (), beside: Collection[str] = ()) -> PlainValidator:
    def validate(value: Any) -> Component:
        component, problems = _read(registry, value, wired=wired, beside=beside)
        if problems:
            raise raised(problems)
        return component

    return PlainValidator(validate)


def _metric(value: Any) -> MetricBlock:
    better: Any = "higher"
    problems: list[Problem] = []
    if isinstance(value, MetricBlock):
        better = value.better
    elif isinstance(value, Mapping):
        value = dict(cast("Mapping[str, Any]", value))
        better = value.pop("better", "higher")
    if better not in ("higher", "lower"):
        suggestion = did_you_mean(str(better), ("higher", "lower"))
        problems.append(Problem(("better",), f"must be 'higher' or 'lower'; the value is {better!r}.{suggestion}"))
    component, of_component = _read(METRICS, value, beside=("better",))
    if problems or of_component:
        raise raised([*problems, *of_component])
    return MetricBlock(component.type, component.args, better)


def _trainable(component: Component) -> Component:
    if component.type == "spandrel":
        message = (
            "spandrel's networks come with their weights: as network_g_teacher, or without an option file in "
            "`srkd benchmark FILE` and `srkd upscale -m FILE`. A network to train is one of srkd's or `basicsr.NAME`."
        )
        raise raised([Problem(("type",), message)])
    return component


TeacherComponent = Annotated[Component, _validator(NETWORKS)]
NetworkComponent = Annotated[Component, _validator(NETWORKS), AfterValidator(_trainable)]
MethodComponent = Annotated[Component, _validator(METHODS)]
DatasetComponent = Annotated[Component, _validator(DATASETS, wired=("scale",), beside=LOADER_KEYS)]
LossComponent = Annotated[Component, _validator(LOSSES)]
OptimizerComponent = Annotated[Component, _validator(OPTIMIZERS)]
SchedulerComponent = Annotated[Component, _validator(SCHEDULERS)]
Metric = Annotated[MetricBlock, PlainValidator(_metric)]


def option_names_of(registry: Registry[Any], kind: Any) -> list[str]:
    """The options of the component that `kind` names; none where it names no component."""
    try:
        return list(option_names(registry.get(str(kind))))
    except InputError:
        return []
