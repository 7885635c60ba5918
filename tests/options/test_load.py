"""What an option file may say, and the one message that answers everything wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydantic
import pytest

from srkd.options import Component, load_test_options, load_train_options
from srkd.registry import METRICS
from srkd.types import InputError

Write = Callable[..., Path]


def message_of(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_train_options(path, overrides)
    return str(caught.value)


def test_a_small_file_has_the_documented_defaults(write: Write) -> None:
    opt = load_train_options(write())
    assert (opt.num_gpu, opt.manual_seed, opt.device, opt.plugins, opt.notices) == ("auto", 0, "auto", [], [])
    assert opt.method.type == "Supervised"
    assert (opt.path.strict_load_g, opt.path.param_key_g) == (True, None)
    assert (opt.train.ema_decay, opt.train.ema_warmup, opt.train.warmup_iter) == (0.0, True, -1)
    assert (opt.train.precision, opt.train.compile, opt.train.accumulate, opt.train.grad_clip) == (
        "auto",
        False,
        1,
        None,
    )
    assert opt.train.pixel_opt == Component("L1Loss", {"loss_weight": 1.0, "reduction": "mean"})
    assert opt.train.scheduler is None
    assert (opt.logger.print_freq, opt.logger.use_tb_logger, opt.logger.wandb) == (100, False, None)
    assert opt.datasets.train.name == "train"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("nam=x", "nam: unknown key 'nam'. Did you mean 'name'? Allowed: name, scale, "),
        ("network_g.num_fea=8", "network_g.num_fea: unknown key 'num_fea'. Did you mean 'num_feat'? Allowed: "),
        ("network_g.type=EDSr", "network_g.type: unknown network 'EDSr'. Did you mean 'EDSR'? Available: "),
        ("method.typ=CSD", "method.type: is required but missing. Available: "),
        ("method={type: CSD, l_contrasts: 1}", "method.l_contrasts: unknown key 'l_contrasts'."),
        ("train.optim_g.lrr=1", "train.optim_g.lrr: unknown key 'lrr'. Did you mean 'lr'? Allowed: lr, "),
        ("train.optim_g.lr=-1", "train.optim_g.lr: must be greater than "),
        ("train.optim_g.lr='1e-4'", "train.optim_g.lr: must be a number; the value is '1e-4'."),
        ("train.optim_g.lr=true", "train.optim_g.lr: must be a number; the value is true."),
        ("train.optim_g=Adam", "train.optim_g: must be a mapping with a `type`; the value is 'Adam'."),
        ("train.ema_deacy=0.9", "train.ema_deacy: unknown key 'ema_deacy'. Did you mean 'ema_decay'? Allowed: "),
        ("train.ema_decay=1", "train.ema_decay: must be less than 1; the value is 1."),
        ("train.total_iter=0", "train.total_iter: must be greater than or equal to 1; the value is 0."),
        ("train.total_iter=1.5", "train.total_iter: must be a whole number"),
        ("train.compile=yes", "train.compile: must be true or false"),
        (
            "train.precision=bf61",
            "train.precision: must be 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'; the value is 'bf61'.",
        ),
        (
            "device=cudo",
            "device: must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'; the value is 'cudo'. Did you mean 'cuda'?",
        ),
        ("device=cuda:x", "device: must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'; the value is 'cuda:x'."),
        ("num_gpu=many", "num_gpu: must be 'auto' or must be a number; the value is 'many'."),
        ("num_gpu=-1", "num_gpu: must be 'auto' or must be greater than or equal to 0; the value is -1."),
        ("val.val_freq=0", "val.val_freq: must be greater than or equal to 1"),
        ("val.widths=[1/3,4/3]", "val.widths.1: a width is greater than 0 and at most 1, not 4/3."),
        ("val.widths=[]", "val.widths: must have at least 1 item"),
        (
            "val.metrics.psnr.test_y_chanel=true",
            "val.metrics.psnr.test_y_chanel: unknown key 'test_y_chanel'. Did you mean 'test_y_channel'? Allowed: ",
        ),
        (
            "val.metrics.psnr.beter=lower",
            "val.metrics.psnr.beter: unknown key 'beter'. Did you mean 'better'? Allowed: ",
        ),
        (
            "val.metrics.psnr.better=highr",
            "val.metrics.psnr.better: must be 'higher' or 'lower'; the value is 'highr'. Did you mean 'higher'?",
        ),
        ("datasets.vall.type=x", "datasets.vall: unknown key 'vall'. Did you mean 'val'? Allowed: train, val."),
        (
            "datasets.train.batch_size_per_gp=1",
            "datasets.train.batch_size_per_gp: unknown key 'batch_size_per_gp'. Did you mean 'batch_size_per_gpu'?",
        ),
        ("datasets.val_2={name: A}", "datasets.val_2.type: is required but missing. Available: "),
        ("datasets.val_2.type=PairedImageDataset", "datasets.val_2.dataroot_gt: is required but missing."),
        ("datasets=5", "datasets: must be a mapping of keys to values; the value is 5."),
        ("logger.wandb=me", "logger.wandb: must be a mapping of keys to values; the value is 'me'."),
        ("name=a/b", "name: is the name of a folder, so it is neither empty nor a path; the value is 'a/b'."),
        ("name=", "name: must be text; the value is null."),
        ("plugins=[no_such_module]", "plugins.0: cannot import 'no_such_module': ModuleNotFoundError: "),
        ("plugins=no_such_module", "plugins: must be a list; the value is 'no_such_module'."),
        ("include=other.yml", "include: unknown key 'include'."),
    ],
)
def test_each_mistake_is_answered_with_path_and_suggestion(write: Write, override: str, expected: str) -> None:
    message = message_of(write(), override)
    assert message.startswith(f"command line: {override}  {expected}")
    assert len(message.splitlines()) == 1


def test_all_mistakes_are_in_one_message_with_their_lines(write: Write) -> None:
    text = write().read_text(encoding="utf-8")
    text = text.replace("lr:", "lrr:").replace("num_feat", "num_fea").replace("name: tiny", "nam: tiny")
    path = write(text.replace("total_iter: 10", "total_iter: .inf"))
    places = [line.split(": ")[0] for line in message_of(path).splitlines()]
    assert sorted(places) == sorted(
        [
            f"{path}:1  nam",
            f"{path}:1  name",
            f"{path}:8  network_g.num_fea",
            f"{path}:11  train.optim_g.lr",
            f"{path}:13  train.optim_g.lrr",
            f"{path}:14  train.total_iter",
        ]
    )


def test_an_error_in_an_included_file_names_that_file(write: Write) -> None:
    base = write(write().read_text(encoding="utf-8").replace("num_feat", "num_fea"), "base.yml")
    assert message_of(write("include: base.yml\n")).startswith(f"{base}:8  network_g.num_fea: ")


def test_another_type_keeps_no_option_silently(write: Write) -> None:
    message = message_of(write(), "train.optim_g.betas=[0.9, 0.99]", "train.optim_g.type=SGD")
    assert "train.optim_g.betas: unknown key 'betas'." in message


class TestScale:
    def test_a_network_of_another_scale_is_refused_with_both_lines(self, write: Write) -> None:
        path = write(write().read_text(encoding="utf-8").replace("num_block: 2", "upscale: 2"))
        assert message_of(path) == f"{path}:9  network_g.upscale: is 2, but scale is 4 ({path}:2)."

    def test_a_teacher_too(self, write: Write) -> None:
        message = message_of(write(), "network_g_teacher={type: EDSR, upscale: 3}")
        assert "network_g_teacher.upscale: is 3, but scale is 4 (" in message

    def test_networks_are_given_the_scale(self, write: Write) -> None:
        opt = load_train_options(write(), ["scale=2", "network_g_teacher={type: EDSR}"])
        assert opt.network_g.args["upscale"] == 2
        assert opt.network_g_teacher is not None and opt.network_g_teacher.args["upscale"] == 2

    def test_a_dataset_may_repeat_it_but_not_contradict_it(self, write: Write) -> None:
        assert "scale" not in load_train_options(write(), ["datasets.train.scale=4"]).datasets.train.component.args
        assert "datasets.train.scale: is 2, but scale is 4 (" in message_of(write(), "datasets.train.scale=2")


class TestValidation:
    def test_several_sets_in_order_by_name(self, write: Write) -> None:
        dataset = "type: PairedImageDataset, dataroot_gt: a, dataroot_lq: b"
        opt = load_train_options(
            write(), [f"datasets.val_3={{{dataset}}}", f"datasets.val_2={{name: B100, {dataset}}}"]
        )
        assert list(opt.datasets.val) == ["Set5", "val_3", "B100"]

    def test_one_name_for_two_sets_is_refused(self, write: Write) -> None:
        dataset = "name: Set5, type: PairedImageDataset, dataroot_gt: a, dataroot_lq: b"
        assert "two datasets have the same name (Set5, Set5)" in message_of(write(), f"datasets.val_2={{{dataset}}}")

    def test_without_it_a_notice_says_so(self, write: Write) -> None:
        text = write().read_text(encoding="utf-8")
        opt = load_train_options(write(text[: text.index("val:\n  val_freq")]))
        assert opt.val is None
        assert "there is no `val`, so nothing is validated" in opt.notices[-1]

    def test_without_data_a_notice_says_so(self, write: Write) -> None:
        lines = [line for line in write().read_text(encoding="utf-8").splitlines(True) if "Set5" not in line]
        assert "there is no `datasets.val`" in load_train_options(write("".join(lines))).notices[-1]

    def test_widths_may_be_fractions(self, write: Write) -> None:
        opt = load_train_options(write(), ["val.widths=[1/3, 0.5, 1]"])
        assert opt.val is not None
        assert opt.val.widths == [1 / 3, 0.5, 1.0]


class TestTestFiles:
    TEXT = """\
name: tiny
scale: 4
datasets:
  test_1: {name: Set5, type: PairedImageDataset, dataroot_gt: gt, dataroot_lq: lq}
network_g: {type: EDSR}
"""

    def test_a_small_one(self, write: Write) -> None:
        opt = load_test_options(write(self.TEXT))
        assert (list(opt.datasets), opt.val.save_img, opt.val.metrics) == (["Set5"], False, {})

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ("train.total_iter=5", "train: unknown key 'train'."),
            ("datasets.tset_2.type=x", "datasets.tset_2: unknown key 'tset_2'. Did you mean 'test_1'? Allowed: test, "),
            ("datasets={}", "datasets: "),
            ("val.val_freq=5", "val.val_freq: unknown key 'val_freq'."),
        ],
    )
    def test_mistakes(self, write: Write, override: str, expected: str) -> None:
        with pytest.raises(InputError) as caught:
            load_test_options(write(self.TEXT), [override])
        assert str(caught.value).startswith(f"command line: {override}  {expected}")


def test_plugins_are_imported_from_the_current_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    METRICS.names()
    monkeypatch.setattr(METRICS, "_components", dict(METRICS._components))
    monkeypatch.setattr("sys.path", ["/nowhere"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin_of_a_user.py").write_text(
        "from srkd.registry import METRICS\n@METRICS.register\ndef mine(a, b, *, power: float = 2): ...\n"
    )
    opt = load_train_options(write(), ["plugins=[plugin_of_a_user]", "val.metrics.m={type: mine, power: 3}"])
    assert opt.val is not None
    assert opt.val.metrics["m"].args == {"power": 3.0}


def test_options_made_in_python_are_checked_too(write: Write) -> None:
    opt = load_train_options(write())
    fields = {name: getattr(opt, name) for name in type(opt).model_fields}
    assert type(opt)(**fields) == opt
    with pytest.raises(pydantic.ValidationError, match="unknown key 'num_fea'"):
        type(opt)(**{**fields, "network_g": Component("EDSR", {"num_fea": 8})})


def test_options_cannot_be_changed(write: Write) -> None:
    with pytest.raises(pydantic.ValidationError):
        load_train_options(write()).train.total_iter = 5


def test_a_missing_file_suggests_its_neighbour(write: Write) -> None:
    path = write()
    with pytest.raises(InputError, match=r"the option file .*tinny.yml does not exist. Did you mean '.*tiny.yml'"):
        load_train_options(path.with_name("tinny.yml"))
