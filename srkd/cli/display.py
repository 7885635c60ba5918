"""What commands show: lines, tables, bars and JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srkd.types import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from srkd.evaluation.result import Result
    from srkd.table import Table


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
    console = Console(file=file, quiet=OUTPUT.quiet)
    return console if console.is_terminal else Console(file=file, quiet=OUTPUT.quiet, width=max(console.width, 160))


def say(*lines: str) -> None:
    """Lines as they are: no markup, no colours, no broken paths."""
    _print(stdout_console(), *lines)


def warn(*lines: str) -> None:
    """Lines that begin with the word warning."""
    say(*(f"warning: {line}" for line in lines))


def complain(line: str) -> None:
    """A line to stderr, even where a command is to be quiet."""
    from rich.console import Console

    _print(Console(stderr=True), line)


def _print(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def write(path: Path, text: str) -> None:
    """Write a text file, atomically, and say so."""
    from srkd.atomic import atomic_write_text

    atomic_write_text(path, text)
    say_written(path)


def say_written(*paths: Path) -> None:
    """Which files were written; nothing where none was."""
    if paths:
        say(f"Written: {', '.join(map(str, paths))}")


def show_table(table: Table) -> None:
    """A table, as wide as the terminal."""
    table.print(stdout_console())


def show_json(value: Any) -> None:
    """Text, or an object, to stdout, alone: everything else goes to stderr where JSON is asked for."""
    if OUTPUT.json:
        text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
        sys.stdout.write(text.rstrip() + "\n")


def show_result(result: Result, written: Sequence[Path]) -> None:
    """The summary as a table, the protocol, warnings and times under it, and the files that were written."""
    from srkd.evaluation.tables import notes, summary_of, time_spent

    show_table(summary_of(result))
    say(*notes(result), *time_spent(result))
    say_written(*written)


@contextmanager
def bar(what: str) -> Generator[Callable[..., None]]:
    """A bar on stderr that vanishes when the work is done, and is not there at all in a file or a pipe.

    Yields what is to be called with (done, in all, a name); what is left out stays as it was.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = console.is_terminal and OUTPUT.progress and not OUTPUT.quiet
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(what, total=None)

        def show(done: float | None = None, total: float | None = None, name: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=name)

        yield show


@contextmanager
def kept_in(*paths: Path) -> Generator[None]:
    """After an interruption, where what was done is kept, if anything is: the same command goes on with it."""
    try:
        yield
    except KeyboardInterrupt:
        for path in paths:
            if path.exists():
                complain(f"What was done is kept in {path}; the same command goes on from there.")
        raise


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


@contextmanager
def telling(*loggers: str) -> Generator[None]:
    """Show what parts of srkd log, from INFO upwards, as lines of a command's output."""
    sources, handler = [logging.getLogger(name) for name in loggers], _Lines()
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


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        (warn if record.levelno >= logging.WARNING else say)(record.getMessage())
