"""Training from Python: what `srkd train` does, as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from srkd.engine.build import Start, build_trainer
from srkd.engine.distributed import leave_world
from srkd.engine.logging import LastingStream, console_logging
from srkd.engine.sinks import Sink
from srkd.options import load_train_options

OnStep = Callable[[int], Any]
"""(iterations done)."""

OnValidation = Callable[[int, Mapping[str, Any]], Any]
"""(iterations done, {"set": …, "width": …, and each metric}), once for each set and width."""


class Callbacks(Sink):
    """A program's own functions; what they raise ends the training, and what was learnt is kept."""

    title = "the callbacks"
    may_fail = False

    def __init__(self, on_step: OnStep | None = None, on_validation: OnValidation | None = None) -> None:
        self.on_step, self.on_validation = on_step, on_validation

    def advance(self, iteration: int) -> None:
        """Call `on_step`."""
        if self.on_step is not None:
            self.on_step(iteration)

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """Call `on_validation`."""
        if kind == "val" and self.on_validation is not None:
            self.on_validation(iteration, dict(values))


def train(
    option_file: str | Path,
    *overrides: str,
    auto_resume: bool = False,
    quiet: bool = False,
    on_step: OnStep | None = None,
    on_validation: OnValidation | None = None,
) -> Path:
    """Train as `srkd train` does; return the file of the trained network.

        srkd.train("options/demo/train.yml", "train.total_iter=200", on_validation=lambda n, found: print(n, found))

    Args:
        option_file: YAML.
        overrides: assignments such as `train.optim_g.lr=1e-4`, applied to the file in order.
        auto_resume: go on from the newest training state of the experiment, if there is one.
        quiet: show no log lines and no progress bar; they go to the logger `srkd` and to the experiment's folder.
        on_step, on_validation: called after each iteration, and for each result of a validation. An exception in them
            ends the training with the state saved.

    Raises:
        InputError: something is wrong with the options; nothing was written.
        WorkError: the work failed; what was learnt before is saved.
        KeyboardInterrupt: it was interrupted, and the state saved.
    """
    console = None if quiet else Console(file=LastingStream())  # pyright: ignore[reportArgumentType]
    console_logging(console)
    start = Start(auto_resume=auto_resume, console=console, sinks=(Callbacks(on_step, on_validation),))
    try:
        trainer = build_trainer(load_train_options(option_file, overrides), start)
        status, file = trainer.run(), trainer.folder.network("latest")
        del trainer  # its reducer must be gone before the process group is
    finally:
        leave_world()
    if status:
        raise KeyboardInterrupt(status - 128)
    return file
