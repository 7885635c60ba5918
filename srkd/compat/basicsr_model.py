"""srkd's methods inside BasicSR's own trainer. Importing this module is what adds them to BasicSR's registries:

- every network of srkd as `<name>_srkd`, since BasicSR has an EDSR and a RCAN too: `network_g: {type: EDSR_srkd}`;
- `model_type: SRKDModel`, BasicSR's `SRModel` with a `method:` block and `network_g_teacher`.

`python -m srkd.compat.basicsr_model -opt FILE` is BasicSR's `train_pipeline` with both, in the current folder. A
`train.py` of one's own needs one line: `import srkd.compat.basicsr_model`.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srkd.atomic import atomic_path
from srkd.compat.basicsr import import_basicsr
from srkd.losses.pixel import PixelLoss
from srkd.methods.assemble import build_method, check_network
from srkd.methods.base import ONE_TEACHER, STUDENT, Method
from srkd.networks.slim import Network
from srkd.networks.weights import build_network, load_params, read_weights, save_network
from srkd.registry import LOSSES, METHODS, NETWORKS, Registry
from srkd.signature import checked_options, parse_width
from srkd.types import Batch, InputError, WorkError, located

SUFFIX = "srkd"
"""BasicSR's registries keep names apart by a suffix: `EDSR_srkd`."""


def _fail(error: Exception) -> int:
    sys.stderr.write(f"srkd: {error}\n")
    return 2 if isinstance(error, InputError) else 1


try:
    import_basicsr()
except InputError as error:
    if __name__ != "__main__":
        raise
    sys.exit(_fail(error))

SRModel: Any = importlib.import_module("basicsr.models.sr_model").SRModel


class SRKDModel(SRModel):
    """BasicSR's `SRModel`, trained by a method of srkd.

    What BasicSR's option file says beside `method`, `network_g_teacher`, `path.pretrain_network_g_teacher`,
    `path.param_key_g_teacher` and `val.widths` means what it means to `SRModel`: data, optimiser, schedule, EMA, logs.
    Network files are srkd's, which BasicSR reads too; training states are BasicSR's, with the method's heads and the
    teacher's place in addition.

    Args:
        opt: BasicSR's options, as its `parse_options` leaves them.

    Raises:
        InputError: an option of srkd's is wrong; it begins with the dotted path.
    """

    opt: dict[str, Any]
    lq: Tensor
    gt: Tensor
    net_g: Network
    net_g_ema: Network
    device: torch.device

    def __init__(self, opt: dict[str, Any]) -> None:
        if opt["num_gpu"] > 1 and not opt["dist"]:
            raise InputError(
                f"num_gpu is {opt['num_gpu']}: methods train on several GPUs with one process each; start with "
                "torchrun and `--launcher pytorch`."
            )
        self.iteration, self.width = 0, 1.0
        super().__init__(opt)
        self.widths = _widths(opt, self.net_g)

    def model_to_device(self, net: nn.Module) -> Network:
        """Move a network, and not wrap it for several GPUs: it is the method around it that runs in parallel."""
        return _as_ours(net, self.opt["network_g"]).to(self.device)

    def load_network(
        self, net: nn.Module, load_path: str, strict: bool = True, param_key: str | None = "params"
    ) -> None:
        """As `SRModel`, and the file is checked against what it says, as wherever srkd reads weights.

        Raises:
            InputError: it cannot be read, does not fit, or describes another network.
        """
        weights = read_weights(load_path)
        if param_key is not None and any(param_key in place.path for place in weights.places):
            weights = read_weights(load_path, param_key)
        theirs = self.get_bare_model(net)
        ours = _as_ours(theirs, self.opt["network_g"])
        load_params(ours, weights, strict=strict)
        if ours is not theirs:
            theirs.load_state_dict(ours.state_dict())

    # --- training

    def init_training_settings(self) -> None:
        """As `SRModel`; the method is built where the optimiser is."""
        train = self.opt["train"]
        if train.get("perceptual_opt"):
            raise InputError("train.perceptual_opt: a method brings its own losses beside train.pixel_opt; remove it.")
        kind, options = _checked("train.pixel_opt", LOSSES, train.get("pixel_opt") or {})
        self.pixel: PixelLoss = LOSSES.get(kind)(**options)
        super().init_training_settings()

    def setup_optimizers(self) -> None:
        """Build the method around `net_g`; its heads are optimised with the network."""
        if self.ema_decay > 0:
            self.net_g_ema = _as_ours(self.net_g_ema, self.opt["network_g"]).to(self.device).eval()
        self.method = self._build_method()
        if self.method.find_unused_parameters:
            self.opt["find_unused_parameters"] = True  # BasicSR's own option
        self.parallel: nn.Module = super().model_to_device(self.method)
        options = self.opt["train"]["optim_g"]
        groups = self.method.param_groups()
        self.optimizer_g: torch.optim.Optimizer = self.get_optimizer(options.pop("type"), groups, **options)
        for group in self.optimizer_g.param_groups:
            group["lr"] *= group.pop("lr_factor", 1.0)
        self.optimizers.append(self.optimizer_g)

    def _build_method(self) -> Method:
        self.teacher_file = self._teacher_file()
        teachers = {} if (teacher := self._build_teacher()) is None else {ONE_TEACHER: teacher}
        for where, network in [("network_g", self.net_g), *(("network_g_teacher", t) for t in teachers.values())]:
            check_network(where, network, student=self.net_g, scale=self.opt["scale"])
        known = _checked("method", METHODS, self.opt.get("method") or {})
        method = build_method(*known, student=self.net_g, teachers=teachers, pixel=self.pixel)
        if getattr(getattr(method, "teacher_cache", None), "keep", "off") != "off":
            raise InputError("method: teacher_cache is srkd's own trainer's: BasicSR tells no patch's place.")
        return method

    def _build_teacher(self) -> Network | None:
        if self.opt.get("network_g_teachers"):
            raise InputError("network_g_teachers is for srkd's own trainer; BasicSR's has network_g_teacher, one.")
        if (block := self.opt.get("network_g_teacher")) is None:
            return None
        if self.teacher_file["path"] is None:
            raise InputError("network_g_teacher is given without its weights: set path.pretrain_network_g_teacher.")
        teacher = _build_ours(block, where="network_g_teacher")
        load_params(teacher, read_weights(self.teacher_file["path"], self.teacher_file["key"]))
        return teacher

    def _teacher_file(self) -> dict[str, str | None]:
        """Path and key of the teacher's weights.

        BasicSR's `check_resume` redirects every network of a resumed run to the run's own folder, where no teacher is,
        and turns the key `params_ema` into `params`: then the training state says what they were.
        """
        path = self.opt["path"]
        given = {"path": path.get("pretrain_network_g_teacher"), "key": path.get("param_key_g_teacher")}
        if not path.get("resume_state"):
            return given
        saved = _own_state(torch.load(path["resume_state"], map_location="cpu", weights_only=True))["teacher"]
        has_moved = "network_g_teacher" in (path.get("ignore_resume_networks") or ())
        return {**saved, "path": given["path"]} if has_moved else saved

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """As `SRModel`."""
        super().feed_data(data)
        if self.lq.shape[1] != (channels := self.net_g.num_in_ch):
            advice = " Give every data set `color: y`." if channels == 1 else ""
            raise InputError(f"the images have {self.lq.shape[1]} channels, network_g takes {channels}.{advice}")

    def optimize_parameters(self, current_iter: int) -> None:
        """One step of the method; a `WorkError` where a loss is infinite or not a number."""
        self.optimizer_g.zero_grad()
        progress = (current_iter - 1) / self.opt["train"]["total_iter"]
        self.method.before_step(progress)
        losses = self.parallel(Batch(self.lq, self.gt))
        self.method.total(losses, progress).backward()
        self.log_dict: dict[str, float] = self.reduce_loss_dict(losses)
        if bad := [name for name, value in self.log_dict.items() if not math.isfinite(value)]:
            raise WorkError(f"loss {', '.join(bad)} became infinite or not a number at iteration {current_iter:,}.")
        self.optimizer_g.step()
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)
        self.iteration = current_iter
        self.method.after_step(current_iter / self.opt["train"]["total_iter"])

    # --- validation

    def test(self) -> None:
        """Upscale `lq` at the current width, with the averaged weights where there are any."""
        network = getattr(self, "net_g_ema", self.net_g)
        network.eval()
        with torch.no_grad():
            self.output: Tensor = network(self.lq, self.width)
        network.train(network is self.net_g and self.opt["is_train"])

    def nondist_validation(self, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool) -> None:
        """As `SRModel`, once for each of `val.widths`: the data set is then called `<name>@<width>`."""
        options, folder = dataloader.dataset.opt, self.opt["path"]["visualization"]
        name = options["name"]
        for width in self.widths:
            self.width = width
            if len(self.widths) > 1:
                options["name"] = f"{name}@{width:g}"
                self.opt["path"]["visualization"] = str(Path(folder, f"width_{width:g}"))
            super().nondist_validation(dataloader, current_iter, tb_logger, save_img)
        options["name"], self.opt["path"]["visualization"] = name, folder

    # --- saving and resuming

    def save(self, epoch: int, current_iter: int) -> None:
        """Write `net_g_<iter>.pth`, what is trained beside it (without averages), and the state; -1: the latest."""
        tag = "latest" if current_iter == -1 else current_iter
        for name, network in self.method.networks.items() if self.opt["rank"] == 0 else ():
            save_network(
                Path(self.opt["path"]["models"], f"net_{name}_{tag}.pth"),
                network,
                params_ema=self.net_g_ema.state_dict() if name == STUDENT and self.ema_decay > 0 else None,
                iter=self.iteration,
                method=type(self.method).__name__,
                widths=self.method.widths,
                companions=self.method.companions,
            )
        self.save_training_state(epoch, current_iter)

    def save_training_state(self, epoch: int, current_iter: int) -> None:
        """BasicSR's state of an iteration (none for the latest), and under `srkd` what only the method has."""
        if current_iter == -1 or self.opt["rank"] != 0:
            return
        heads = {name: value for name, value in self.method.state_dict().items() if not name.startswith("student.")}
        state = {
            "epoch": epoch,
            "iter": current_iter,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "srkd": {"heads": heads, "teacher": self.teacher_file},
        }
        with atomic_path(Path(self.opt["path"]["training_states"], f"{current_iter}.state")) as temporary:
            torch.save(state, temporary)

    def resume_training(self, resume_state: Mapping[str, Any]) -> None:
        """As `SRModel`, and the heads."""
        missing, unexpected = self.method.load_state_dict(_own_state(resume_state)["heads"], strict=False)
        absent = [name for name in missing if not name.startswith("student.")]
        if absent or unexpected:
            raise InputError(f"path.resume_state: it is of another method; {(absent + unexpected)[0]} differs.")
        super().resume_training(resume_state)
        self.iteration = resume_state["iter"]


def _own_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    if "srkd" not in state:
        raise InputError(
            "path.resume_state: it was not written by SRKDModel; start from its network: path.pretrain_network_g."
        )
    return state["srkd"]


def _as_ours(net: nn.Module, block: Mapping[str, Any]) -> Network:
    """A network that BasicSR built, as one of srkd's with the same parameter names; the other's weights are copied."""
    if isinstance(net, Network):
        return net
    network = _build_ours(block, where="network_g")
    network.load_state_dict(net.state_dict())
    return network


def _build_ours(block: Mapping[str, Any], *, where: str) -> Network:
    """The network that a block of BasicSR's options names: srkd's with the suffix, else BasicSR's."""
    options = dict(block)
    kind = str(options.pop("type"))
    own = kind.removesuffix(f"_{SUFFIX}")
    return build_network(f"basicsr.{kind}" if own == kind else own, options, where=where)


def _widths(opt: Mapping[str, Any], net_g: Network) -> list[float]:
    given = (opt.get("val") or {}).get("widths") or [1.0]
    try:
        widths = [parse_width(width) for width in given]
        for width in widths:
            net_g.channels(width)
    except (TypeError, ValueError) as error:
        raise InputError(f"val.widths: {error}") from None
    return widths


def _checked(where: str, registry: Registry[Any], block: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What `block` names, and its options; every error is an `InputError` that begins with `where`."""
    given = dict(block)
    kind = given.pop("type", None)
    if kind is None:
        raise InputError(f"{where}: its `type` is missing. Available: {', '.join(registry.names())}.")
    with located(f"{where} ({kind})"):
        return kind, checked_options(registry.get(kind), given)


def _arch(name: str) -> Callable[..., Network]:
    """What BasicSR's `build_network` calls for `<name>_srkd`."""

    def build(**options: Any) -> Network:
        return build_network(name, options)

    build.__name__ = name
    return build


def _register() -> None:
    """Tell BasicSR's registries; `python -m` has this module twice where something else imports it."""
    registries: Any = importlib.import_module("basicsr.utils.registry")
    for name in NETWORKS.names():
        if f"{name}_{SUFFIX}" not in registries.ARCH_REGISTRY:
            registries.ARCH_REGISTRY.register(_arch(name), suffix=SUFFIX)
    if SRKDModel.__name__ not in registries.MODEL_REGISTRY:
        registries.MODEL_REGISTRY.register(SRKDModel)


def _resume_on_cpu(opt: dict[str, Any]) -> dict[str, Any] | None:
    """BasicSR's `load_resume_state` without its call to CUDA, which fails on a machine that has none."""
    path = opt["path"]
    if opt["auto_resume"]:
        states = Path("experiments", opt["name"], "training_states").glob("*.state")
        newest = max(states, key=lambda state: float(state.stem), default=None)
        path["resume_state"] = newest and str(newest)
    if not path.get("resume_state"):
        return None
    state = torch.load(path["resume_state"], map_location="cpu", weights_only=True)
    importlib.import_module("basicsr.utils").check_resume(opt, state["iter"])
    return state


def main() -> int:
    """Run BasicSR's `train_pipeline` on the command line's `-opt FILE`; returns the exit status."""
    train: Any = importlib.import_module("basicsr.train")
    if not torch.cuda.is_available():
        train.load_resume_state = _resume_on_cpu
    try:
        train.train_pipeline(str(Path.cwd()))
    except (InputError, WorkError) as error:
        return _fail(error)
    return 0


_register()
if __name__ == "__main__":
    sys.exit(main())
