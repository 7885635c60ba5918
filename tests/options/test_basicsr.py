"""The public option files of BasicSR run as they are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from srkd.options import Component, MetricBlock, dump_options, load_test_options, load_train_options
from srkd.types import InputError

HERE = Path(__file__).parent
X4 = HERE / "basicsr_train_EDSR_Mx4.yml"


def test_a_training_file() -> None:
    opt = load_train_options(X4)
    assert opt.name == "203_EDSR_Mx4_f64b16_DIV2K_300k_B16G1_201pretrain_wandb"
    assert (opt.scale, opt.num_gpu, opt.manual_seed, opt.device) == (4, 1, 10, "auto")
    train = opt.datasets.train
    assert (train.name, train.num_worker_per_gpu, train.batch_size_per_gpu) == ("DIV2K", 6, 16)
    assert train.component.type == "PairedImageDataset"
    args = train.component.args
    assert args["dataroot_gt"] == "datasets/DIV2K/DIV2K_train_HR_sub"
    assert args["filename_tmpl"] == "{}"
    assert (args["gt_size"], args["use_hflip"], args["use_rot"]) == (192, True, True)
    assert list(opt.datasets.val) == ["Set5"]
    assert opt.network_g.type == "EDSR"
    assert opt.network_g.args["res_scale"] == 1.0
    assert isinstance(opt.network_g.args["res_scale"], float)
    assert opt.network_g.args["img_range"] == 255.0
    assert list(opt.network_g.args["rgb_mean"]) == [0.4488, 0.4371, 0.404]
    assert opt.network_g_teacher is None
    assert opt.method.type == "Supervised"
    assert opt.path.pretrain_network_g == (
        "experiments/201_EDSR_Mx2_f64b16_DIV2K_300k_B16G1_wandb/models/net_g_300000.pth"
    )
    assert opt.path.strict_load_g is False
    assert opt.path.resume_state is None
    assert opt.train.optim_g.type == "Adam"
    assert opt.train.optim_g.args["lr"] == 1e-4 and opt.train.optim_g.args["betas"] == (0.9, 0.99)
    assert opt.train.scheduler is not None
    assert opt.train.scheduler.type == "MultiStepLR"
    assert list(opt.train.scheduler.args["milestones"]) == [200000]
    assert (opt.train.total_iter, opt.train.warmup_iter) == (300000, -1)
    assert opt.train.pixel_opt == Component("L1Loss", {"loss_weight": 1.0, "reduction": "mean"})
    assert opt.val is not None
    assert opt.val.val_freq == 5000
    assert isinstance(opt.val.val_freq, int)
    assert opt.val.metrics == {
        "psnr": MetricBlock(
            "calculate_psnr", {"crop_border": 4, "test_y_channel": False, "input_order": "HWC"}, "higher"
        )
    }
    assert (opt.logger.print_freq, opt.logger.save_checkpoint_freq, opt.logger.use_tb_logger) == (100, 5000, True)
    assert opt.logger.wandb is not None
    assert opt.logger.wandb.project is None


def test_keys_without_meaning_are_answered_with_one_line_each() -> None:
    notices = load_train_options(X4).notices
    keys = ["datasets.train.use_shuffle", "datasets.train.dataset_enlarge_ratio", "datasets.train.prefetch_mode"]
    assert [notice.split("  ")[1].split(":")[0] for notice in notices] == ["dist_params", *keys]
    assert notices[1].startswith(f"{X4}:22  ")


def test_a_file_of_another_scale() -> None:
    opt = load_train_options(HERE / "basicsr_train_EDSR_Mx2.yml")
    assert (opt.scale, opt.network_g.args["upscale"], opt.path.strict_load_g) == (2, 2, True)
    assert opt.path.pretrain_network_g is None


def test_a_test_file() -> None:
    opt = load_test_options(HERE / "basicsr_test_EDSR_Mx4.yml")
    assert list(opt.datasets) == ["Set5", "Set14", "DIV2K100"]
    assert opt.datasets["DIV2K100"].component.args["filename_tmpl"] == "{}x4"
    assert opt.path.pretrain_network_g is not None
    assert opt.path.pretrain_network_g.endswith("net_g_300000.pth")
    assert opt.val.save_img
    assert opt.val.suffix is None
    assert {name: metric.type for name, metric in opt.val.metrics.items()} == {
        "psnr": "calculate_psnr",
        "ssim": "calculate_ssim",
    }
    assert not opt.notices


@pytest.mark.parametrize("name", ["basicsr_train_EDSR_Mx4.yml", "basicsr_train_EDSR_Mx2.yml"])
def test_training_files_survive_a_dump(name: str, write: Callable[..., Path]) -> None:
    opt = load_train_options(HERE / name)
    assert load_train_options(write(dump_options(opt))) == opt


def test_test_files_survive_a_dump(write: Callable[..., Path]) -> None:
    opt = load_test_options(HERE / "basicsr_test_EDSR_Mx4.yml")
    assert load_test_options(write(dump_options(opt))) == opt


@pytest.mark.parametrize(
    "override",
    [
        "find_unused_parameters=true",
        "is_train=true",
        "val.pbar=true",
        "path.ignore_resume_networks=net_d",
        "datasets.val.phase=val",
        "datasets.train.pin_memory=true",
        "datasets.train.persistent_workers=true",
        "datasets.train.num_prefetch_queue=3",
        "datasets.train.mean=~",
        "datasets.train.std=~",
    ],
)
def test_other_keys_without_meaning(override: str) -> None:
    notices = load_train_options(X4, [override]).notices
    assert f"command line: {override}  {override.split('=')[0]}: has no meaning here" in "\n".join(notices)


@pytest.mark.parametrize("override", ["datasets.train.color=~", "train.perceptual_opt=~"])
def test_nulls_that_public_files_spell_out(override: str) -> None:
    load_train_options(X4, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model_type=SRGANModel", "model_type: unknown model type 'SRGANModel'. Allowed: SRModel"),
        ("train.perceptual_opt={type: PerceptualLoss}", "train.perceptual_opt: srkd has no perceptual loss"),
        ("path.pretrain_network_g=x", "is the old name of 'pretrain_network_g', which is given too"),
        ("datasets.train.use_hflip=true", "is the old name of 'use_hflip', which is given too"),
        ("path.strict_load=perhaps", "path.strict_load: must be true or false; the value is 'perhaps'."),
        ("datasets.train.mean=[0.5]", "datasets.train.mean: unknown key 'mean'"),
    ],
)
def test_what_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_train_options(X4, [override])
    assert message in str(caught.value)


def test_a_method_beside_model_type_is_kept(write: Callable[..., Path]) -> None:
    text = X4.read_text(encoding="utf-8") + "method: {type: CSD}\nnetwork_g_teacher: {type: EDSR}\n"
    assert load_train_options(write(text)).method.type == "CSD"


@pytest.mark.parametrize("network", ["MSRResNet", "RRDBNet", "ECBSR"])
class TestOtherNetworksOfBasicSR:
    def test_the_one_override_that_trains_it_is_enough(self, network: str) -> None:
        if importlib.util.find_spec("basicsr") is None:
            pytest.skip("BasicSR is not installed: it cannot be on Python 3.13")
        path = HERE / f"basicsr_train_{network}_x4.yml"
        opt = load_train_options(path, [f"network_g.type=basicsr.{network}"])
        assert opt.network_g.args.get("upscale", opt.network_g.args.get("scale")) == 4
        assert list(opt.val.metrics) == ["psnr"] and list(opt.datasets.val) == ["Set5", "Set14"]
        said = "\n".join(opt.warnings)
        assert "val.metrics.niqe: is left out, srkd has no metric 'calculate_niqe'" in said
        assert "logger.wandb.entity: is left out" in said
        assert len(opt.warnings) == 2

    def test_without_it_there_is_one_line(self, network: str) -> None:
        with pytest.raises(InputError) as caught:
            load_train_options(HERE / f"basicsr_train_{network}_x4.yml")
        assert len(str(caught.value).splitlines()) == 1
        assert f"network_g.type: unknown network '{network}'." in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["use_amp=true"], "use_amp: srkd calls this train.precision (auto, bf16 or fp16)."),
        (["train.use_amp=true"], "train.use_amp: srkd calls this train.precision (auto, bf16 or fp16)."),
        (["use_compile=true"], "use_compile: srkd calls this train.compile."),
        (["compile=true"], "compile: srkd calls this train.compile."),
        (["amp_bf16=true"], "amp_bf16: srkd calls this train.precision: bf16."),
        (["datasets.train.type=SingleImageDataset"], "`srkd upscale FOLDER -m FILE` makes the images"),
        (["datasets.val.type=SingleImageDataset"], "`srkd upscale FOLDER -m FILE` makes the images"),
        (["model_type=HATModel"], "unknown model type 'HATModel'. Allowed: SRModel"),
        (["datasets.train.color=y"], "datasets.train.color: unknown key 'color'."),
    ],
)
def test_what_descendants_call_otherwise(overrides: list[str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_train_options(X4, overrides)
    assert expected in str(caught.value)


def test_what_is_off_elsewhere_is_a_notice() -> None:
    opt = load_train_options(X4, ["use_amp=false", "train.use_compile=false"])
    said = "\n".join(opt.notices)
    assert "use_amp: has no meaning here" in said and "train.use_compile: has no meaning here" in said


def test_what_is_allowed_is_listed_once() -> None:
    with pytest.raises(InputError) as caught:
        load_train_options(X4, ["train.a_key=1", "train.other_key=1", "train.third_key=1"])
    assert str(caught.value).count("Allowed:") == 1
    assert len(str(caught.value).splitlines()) == 3
