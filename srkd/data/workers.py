"""Training batches made by processes of their own: what such a process reports, and what happens when one is killed."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

import torch
from torch.utils.data import DataLoader, Dataset

from srkd.data.parcels import Parcel
from srkd.types import InputError, WorkError

KILLED = (
    "SIGKILL means most often that memory ran out, SIGBUS that a file was cut while it was read or that /dev/shm is "
    "full. With a lower datasets.train.num_worker_per_gpu less memory is needed; with 0 there is no such process. "
    "--auto_resume goes on from what was saved."
)


class _Guarded(Dataset[Parcel | InputError]):
    """Returns an `InputError` instead of raising it: raised, torch would replace its text by a traceback."""

    def __init__(self, make: Callable[[int], Parcel]) -> None:
        self.make = make

    def __getitem__(self, number: int) -> Parcel | InputError:
        try:
            return self.make(number)
        except InputError as error:
            return error


def made_by_workers(
    make: Callable[[int], Parcel], numbers: range, num_workers: int, *, pin_memory: bool
) -> Iterator[Parcel]:
    """`make(number)` for `numbers`, in order, by `num_workers` processes (0: by this one).

    Raises:
        InputError: as `make` does; from a worker too it arrives here as it was raised.
        WorkError: a worker was killed. It is raised here, between two batches, and nowhere else.
    """
    # Forked workers share the cache; started in any other way each would receive a copy of it.
    can_fork = num_workers > 0 and "fork" in multiprocessing.get_all_start_methods()
    loader = DataLoader(
        _Guarded(make),
        batch_size=None,
        sampler=numbers,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_interrupts,
        multiprocessing_context="fork" if can_fork else None,
        generator=torch.Generator(),  # else each loader would take a number from the global one, and so change training
    )
    others = multiprocessing.active_children()
    with _handler_kept():
        items = iter(loader)
    workers = [child for child in multiprocessing.active_children() if child not in others]
    for worker in workers:  # else Python, where it ends before `items`, sends a SIGTERM, and waits for ever
        atexit.register(worker.kill)
    try:
        for item in items:
            if isinstance(item, InputError):
                raise item
            yield item
    except (RuntimeError, OSError, EOFError) as error:  # the last two where it dies while it hands something over
        gone = wait([worker.sentinel for worker in workers], timeout=5)
        for worker in workers:
            if worker.sentinel in gone:  # its files are closed a little before it has an exit code
                worker.join()
        ends = [worker.exitcode for worker in workers if worker.exitcode]
        if not ends:
            raise
        how = ", ".join(signal.Signals(-end).name if end < 0 else f"exit status {end}" for end in ends)
        raise WorkError(f"of {num_workers} processes that make batches {len(ends)} ended ({how}). {KILLED}") from error
    finally:
        del items  # which ends the workers; an error that is kept would keep it


@contextmanager
def _handler_kept() -> Generator[None]:
    """Torch's own handler raises for a dead worker wherever the main thread is, in the middle of a step too.

    Without it torch finds out within five seconds, when it waits for that worker.
    """
    changeable = hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if changeable else None
    yield
    if changeable:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _ignore_interrupts(worker: int) -> None:
    """What ends a training may reach every process of its group; only the main one acts on it, saves, and ends them."""
    for name in {"SIGINT", "SIGTERM", "SIGHUP"} & {*dir(signal)}:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
