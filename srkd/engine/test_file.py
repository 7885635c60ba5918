"""BasicSR's test files: one network, its sets and metrics, as a benchmark takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srkd.engine.build import build_dataset
from srkd.evaluation.models import Model, model_of
from srkd.evaluation.protocols import Chosen, Protocol, protocol_of
from srkd.evaluation.result import BICUBIC, Row
from srkd.evaluation.sets import TestSet
from srkd.networks.weights import build_network, load_params, read_weights
from srkd.options import TestOptions, load_test_options
from srkd.types import InputError, located


@dataclass(frozen=True)
class TestRun:
    """What a test file asks for.

    Attributes:
        options: the file.
        model: its network with its weights.
        sets: its data sets.
        notices: what is to be said of it.
    """

    options: TestOptions
    model: Model
    sets: Sequence[TestSet]
    notices: Sequence[str]

    @property
    def protocol(self) -> Protocol:
        """Its metrics, or the protocol y where it names none."""
        opt = self.options
        metrics = {name: (block.type, block.args) for name, block in opt.val.metrics.items()}
        better = {name: block.better for name, block in opt.val.metrics.items()}
        return Chosen(opt.scale, metrics, better) if metrics else protocol_of("y", opt.scale)

    @property
    def widths(self) -> Sequence[float]:
        """Widths to evaluate."""
        return self.options.val.widths or self.model.trained_widths()

    @property
    def device(self) -> str:
        """Where the network runs."""
        return "cpu" if self.options.num_gpu == 0 else self.options.device

    @property
    def folder(self) -> Path:
        """Where its results go."""
        return Path(self.options.path.results_root or "results") / self.options.name

    def picture(self, row: Row) -> Path | None:
        """Where the image of a row goes, named as BasicSR names it; None: nowhere."""
        opt = self.options
        if not opt.val.save_img or row.model == BICUBIC:
            return None
        at = f"_w{row.width:.4g}" if len(self.widths) > 1 else ""
        return self.folder / "visualization" / row.set / f"{row.image}_{opt.val.suffix or opt.name}{at}.png"


def read_test_file(path: str, overrides: Sequence[str]) -> TestRun:
    """Read a test file, its network and its data sets.

    Raises:
        InputError: the file, the weights or a data set is wrong.
    """
    opt = load_test_options(path, overrides)
    notices = [*opt.notices, *opt.warnings]
    if opt.path.pretrain_network_g is None:
        raise InputError(f"{path}: path.pretrain_network_g is missing: the weights to evaluate.")
    network = build_network(opt.network_g.type, opt.network_g.args)
    if network.scale != opt.scale:
        raise InputError(f"{path}: network_g is a ×{network.scale} network, but scale is {opt.scale}.")
    with located("path.pretrain_network_g"):
        weights = read_weights(opt.path.pretrain_network_g, opt.path.param_key_g)
        skipped = load_params(network, weights, strict=opt.path.strict_load_g)
    if skipped:
        names = ", ".join(skipped)
        notices.append(f"warning: {weights.path}: {len(skipped)} tensors do not fit and keep random values: {names}")
    trained = weights.meta.get("widths")
    network.trained_widths = tuple(trained) if trained else None
    return TestRun(opt, model_of(network, weights, name=opt.name), [_open(opt, name) for name in opt.datasets], notices)


def _open(opt: TestOptions, name: str) -> TestSet:
    component = opt.datasets[name].component
    dataset = build_dataset(f"datasets.{name}", component, opt.scale)
    images = [Path(image).stem for image in dataset.names]
    origin = str(component.args.get("dataroot_gt", ""))
    return TestSet(name, images, lambda index: dataset.pair(index)[::-1], origin)  # lq, gt reversed
