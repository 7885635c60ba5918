"""What commands show of a result."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srkd.types import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from srkd.evaluation.result import Result


@dataclass
class Output:
    """How a command shows things: `quiet`: files and errors only; `progress`: bars; `json`: stdout is for JSON."""

    quiet: bool = False
    progress: bool = True
    json: bool = False


OUTPUT = Output()


def stdout_console(file: Any = None) -> Console:
    """The console that commands print to; a file or a pipe is wide enough for every table."""
    from rich.console import Console

    file = sys.stderr if OUTPUT.json and file is None else file
    if OUTPUT.quiet:
        return Console(file=file, quiet=True)

    console = Console(file=file)
    return console if console.is_terminal else Console(file=file, width=max(console.width, 160))


def show_json(text: str) -> None:
    """To stdout, alone: everything else goes to stderr where JSON is asked for."""
    if OUTPUT.json:
        sys.stdout.write(text.rstrip() + "\n")


def show_result(console: Console, result: Result, written: Sequence[Path]) -> None:
    """The summary as a table, the protocol, warnings and times under it, and the files that were written."""
    from srkd.evaluation.tables import notes, summary_of, time_spent

    summary_of(result).print(console)
    for line in (*notes(result), *time_spent(result)):
        show_line(console, line)
    if written:
        show_line(console, f"Written: {', '.join(map(str, written))}")


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr that vanishes when the work is done, and is not there at all in a file or a pipe.

    Without `columns` it has rich's own: text, bar, share, time.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and OUTPUT.progress and not OUTPUT.quiet
    return Progress(*columns, console=console, transient=True, disable=not shown)


def show_line(console: Console, text: str) -> None:
    """Text as it is: no markup, no colours, no broken paths."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def keep_existing(paths: Iterable[Path], overwrite: bool) -> None:
    """Refuse to replace a file, before the work: `--overwrite` allows it."""
    if there := [path for path in paths if path.exists() and not overwrite]:
        raise InputError(f"{there[0]} exists: --overwrite replaces it, or choose another name (-o).")


def height_width(given: str | None) -> tuple[int, int] | None:
    """What `--size` says, such as 180x320; None where it was not given."""
    match = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", given or "")
    if given is not None and not match:
        raise InputError(f"--size is height x width of the input, such as 180x320, not {given!r}.")
    return (int(match[1]), int(match[2])) if match else None


def warn(console: Console, text: str) -> None:
    """A line that begins with the word warning."""
    show_line(console, f"warning: {text}")


@contextmanager
def telling(console: Console, *loggers: str) -> Generator[None]:
    """Show what parts of srkd log, from INFO upwards, as lines of a command's output."""
    sources, handler = [logging.getLogger(name) for name in loggers], _ConsoleHandler(console)
    levels = [source.level for source in sources]
    for source in sources:
        source.addHandler(handler)
        source.setLevel(logging.INFO)
    try:
        yield
    finally:
        for source, level in zip(sources, levels, strict=True):
            source.removeHandler(handler)
            source.setLevel(level)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        (warn if record.levelno >= logging.WARNING else show_line)(self.console, record.getMessage())
