"""Train or distil a network from an option file.

srkd train options/train/CSD/csd_edsr_x4.yml                          (or -opt FILE, as in BasicSR)
srkd train -opt FILE train.total_iter=1000 network_g.num_feat=32     (override any option)
srkd train -opt FILE --auto_resume                                    (go on where it stopped)
srkd train -opt FILE --teacher craft_x4.pth                           (learn from this network too)
srkd train -opt FILE --check                                          (build everything, a few steps, stop)
torchrun --nproc_per_node=4 -m srkd train -opt FILE                   (four GPUs)

A small option file, for a folder of photographs (`srkd demo --photos` writes a dozen to try):

  name: my_edsr_x2
  scale: 2
  datasets:
    train: {type: PairedImageDataset, dataroot_gt: srkd_demo/photos/train, gt_size: 96, batch_size_per_gpu: 16}
  network_g: {type: EDSR, num_feat: 64, num_block: 16}
  train: {total_iter: 100000, optim_g: {type: Adam, lr: 2e-4}}

The network goes to experiments/my_edsr_x2/models/net_g_latest.pth. More option files are in options/train of the
checkout; those named *_tiny.yml take a minute. `srkd list methods` and `srkd list networks` show what a file may name.
With `srkd schema` an editor completes it.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.display import stdout_console
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.options import TrainOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BasicSR's arguments, and overrides without a flag."""
    add = parser.add_argument
    add("-opt", "--opt", metavar="FILE", help="option file (YAML)")
    add("overrides", nargs="*", metavar="key.path=value", help="override an option of the file; may stand anywhere")
    basicsr = "overrides in BasicSR's form"
    add("--force_yml", "--force-yml", nargs="+", default=[], metavar="a:b=c", help=basicsr)
    add("--auto_resume", "--auto-resume", action="store_true", help="go on from the newest training state")
    add("--teacher", metavar="FILE", help="learn from these weights (method: OutputKD, or the file's)")
    add("--debug", action="store_true", help="print every iteration, validate and save every 8")
    add("--check", action="store_true", help="build everything, run a few steps, write nothing")
    add("--launcher", choices=["none", "pytorch", "slurm"], default="none", help="what started the processes")
    add("--local_rank", "--local-rank", type=int, default=0, help="ignored; for old launchers")


def run(args: argparse.Namespace) -> int:
    """Train; 0 when finished, 129, 130 or 143 when interrupted with the state saved."""
    from srkd.engine.build import Start, build_trainer
    from srkd.engine.check import check
    from srkd.engine.distributed import leave_world
    from srkd.engine.logging import LastingStream, console_logging
    from srkd.engine.teachers import teacher_overrides
    from srkd.options import load_train_options

    console = stdout_console(LastingStream())
    console_logging(console, level=logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)
    file, overrides = option_file(args.opt, args.overrides)
    overrides = [*overrides, *args.force_yml]
    if args.teacher:
        overrides += teacher_overrides(args.teacher, file, overrides)
    opt = load_train_options(file, overrides)
    if args.debug:
        opt = debugging(opt)
    start = Start(launcher=args.launcher, auto_resume=args.auto_resume, dry=args.check, console=console)
    try:
        trainer = build_trainer(opt, start)
        if args.check:
            check(trainer, console)
            return 0
        status = trainer.run()
        del trainer  # its reducer must be gone before the process group is
        return status
    finally:
        leave_world()


def option_file(named: str | None, words: Sequence[str]) -> tuple[str, list[str]]:
    """The option file and the overrides: a word without `=` is the file, where no `-opt` names it.

    Raises:
        InputError: there is none, or more than one.
    """
    overrides = [word for word in words if "=" in word]
    files = [word for word in words if "=" not in word]
    if wrong := [word for word in files if len(files) > 1 and not word.endswith((".yml", ".yaml", ".json", ".toml"))]:
        raise InputError(f"{wrong[0]!r} is neither an option file (FILE.yml) nor an override (key.path=value).")
    if named is not None and files:
        what = "a second option file" if files[0].endswith((".yml", ".yaml")) else "no override: key.path=value is one"
        raise InputError(f"{files[0]!r} is {what}; the option file is {named}.")
    if named is None and len(files) != 1:
        given = f"; {', '.join(files)} are several" if files else ""
        raise InputError(f"name one option file: srkd train -opt FILE{given}. `srkd demo` trains without one.")
    file = files[0] if named is None else named
    if Path(file).is_dir():
        raise InputError(
            f"{file}: cannot be read as an option file: it is a folder. An option file (YAML) names the folders of "
            "images; `srkd train --help` says where to begin."
        )
    return file, overrides


def debugging(opt: TrainOptions) -> TrainOptions:
    """BasicSR's debug settings: everything happens within the first eight iterations, in a folder of its own."""
    often = {"print_freq": 1, "save_checkpoint_freq": 8, "use_tb_logger": False, "wandb": None}
    val = opt.val.model_copy(update={"val_freq": 8}) if opt.val else None
    changes = {"name": f"debug_{opt.name}", "logger": opt.logger.model_copy(update=often), "val": val}
    return opt.model_copy(update=changes)
