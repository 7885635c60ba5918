"""Where a training step's time and memory go, for every method of the small ×4 comparison.

  python scripts/bench/method_profile.py
  python scripts/bench/method_profile.py --patch 192 --save

The option files `*_x4_bsds*.yml` (teacher 48 channels, student 12, both 8 blocks), teachers with random weights, images
that ship with scikit-image. Shares are of the processor time of PyTorch's operations; the rest is Python. Each method
has a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import ROOT, parse, report
from turns import Values, Worker, answer, peak_mib, wait_for_turn, worker

STEPS = 4

FILES = {
    "scratch": "Supervised/scratch_edsr12x8_x4_bsds",
    "output distillation": "OutputKD/output_kd_edsr12x8_x4_bsds",
    "SRKD": "SRKD/srkd_edsr12x8_x4_bsds",
    "FAKD": "FAKD/fakd_edsr12x8_x4_bsds",
    "PISR, stage 1": "PISRTeacher/pisrteacher_edsr12x8_x4_bsds",
    "PISR": "PISR/pisr_edsr12x8_x4_bsds",
    "slimmable": "Supervised/slimmable_edsr48x8_x4_bsds",
    "CSD": "CSD/csd_edsr48x8_x4_bsds_w025",
}
KINDS = {  # by what an operation's name holds; the first that fits
    "convolution, backward": ("convolution_backward", "conv_backward"),
    "convolution": ("convolution", "conv2d", "mkldnn"),
    "matrix product": ("mm", "matmul"),
    "copies, layouts": ("copy", "clone", "contiguous", "cat", "pixel", "_to_copy", "permute"),
    "optimiser, average": ("adam", "lerp", "addcdiv", "foreach"),
}


def options(name: str, folder: Path, patch: int) -> list[str]:
    """What is put over a method's option file: photographs of `srkd demo`, networks with random weights."""
    from srkd.losses.pixel import L1Loss
    from srkd.methods.pisr import PISRTeacher
    from srkd.networks.edsr import EDSR
    from srkd.networks.weights import save_network
    from srkd.options import load_train_options

    wide, narrow = (EDSR(num_feat=num_feat, num_block=8, upscale=4, img_range=1.0) for num_feat in (48, 12))
    save_network(folder / "wide.pth", wide)
    save_network(folder / "narrow.pth", narrow, companions=PISRTeacher(narrow, None, L1Loss()).companions)
    file = load_train_options(ROOT / f"options/train/{FILES[name]}.yml")
    given = {
        "path.pretrain_network_g": "narrow" if "pisr" in FILES[name] else "wide",
        "path.pretrain_network_g_teacher": "wide",
        "method.stage1": "narrow",
    }
    needed = {
        key: network
        for key, network in given.items()
        if (file.method.args.get("stage1") if key == "method.stage1" else getattr(file.path, key.split(".")[1]))
    }
    return [
        *(f"{key}={folder / network}.pth" for key, network in needed.items()),
        f"datasets.train.dataroot_gt={folder / 'gt'}",
        f"datasets.val.dataroot_gt={folder / 'gt'}",
        f"datasets.train.gt_size={patch}",
        "train.total_iter=1000",
    ]


def step(settings: Values) -> None:
    """The side of a method's process: some iterations to warm up, and when it is its turn, some that are looked at."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    from srkd.engine import build
    from srkd.options import load_train_options

    file = ROOT / f"options/train/{FILES[settings['variant']]}.yml"
    opt = load_train_options(file, [*settings["overrides"], f"device={settings['device']}"])
    trainer = build.build_trainer(opt, build.Start(dry=True))
    trainer.rehearse(2)
    answer({})
    if not wait_for_turn():
        return
    before = peak_mib(settings["device"], reset=True)
    (seconds, waiting), _ = trainer.rehearse(STEPS)
    peak = peak_mib(settings["device"])
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if settings["device"] == "cuda" else [])]
    with profile(activities=activities) as seen:
        trainer.rehearse(STEPS)
    times: dict[str, float] = {}
    for event in seen.key_averages():
        if event.device_type != DeviceType.CPU:  # kernels: their time is also that of what started them
            continue
        spent = event.self_device_time_total if settings["device"] == "cuda" else event.self_cpu_time_total
        kind = next((kind for kind, words in KINDS.items() if any(word in event.key.lower() for word in words)), "rest")
        times[kind] = times.get(kind, 0.0) + spent
    whole = sum(times.values())
    shares = {kind: times.get(kind, 0.0) / whole for kind in (*KINDS, "rest")}
    answer({"seconds": seconds, "waiting": waiting / seconds, "peak_mib": max(peak, before), "shares": shares})


def main() -> None:
    if settings := worker():
        step(settings)
        return

    def own(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--patch", type=int, default=128, help="side of HR patches (default: %(default)s)")

    args = parse(__doc__, {"patch": 32}, own)
    from photographs import photographs, write_pairs

    rows: list[Values] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder, photographs(None))
        for method in FILES:
            given = {"variant": method, "device": args.device, "overrides": options(method, folder, args.patch)}
            one = Worker(__file__, given, allocator="default", threads=args.threads)
            try:
                found = one.turn()
            finally:
                one.close()
            shares = {kind: f"{share:.0%}" for kind, share in found.pop("shares").items()}
            rows.append({"method": method, **found, **shares})
    report(__file__, args, rows, {})


if __name__ == "__main__":
    main()
