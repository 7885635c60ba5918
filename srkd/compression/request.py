"""What is wanted of a compression, and what has been done of it."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.compression.students import Budget
from srkd.inference.export.export import SUFFIXES
from srkd.inference.export.graph import require_onnx
from srkd.types import InputError

FORMATS = (*(suffix[1:] for suffix in SUFFIXES), "int8")


@dataclass(frozen=True)
class Request:
    """What is wanted.

    Attributes:
        teacher: a weight file of any network that srkd opens.
        out: the folder for everything.
        data: photographs, in the folder or in folders in it.
        budget: what the device allows.
        minutes: for the teacher's pictures and the training together.
        formats: of the files; `int8` is an `.onnx` file in 8-bit integers.
        tests: folders or names of sets to measure on, beside the photographs that are held out.
        device: where it trains.
        max_loss: dB that int8 may lose.
    """

    teacher: Path
    out: Path
    data: Path
    budget: Budget
    minutes: float = 20.0
    formats: tuple[str, ...] = ("pth", "onnx")
    tests: tuple[str, ...] = ()
    device: str = "auto"
    max_loss: float = 0.1

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown:
            raise InputError(f"--formats: unknown {unknown[0]!r}; allowed: {', '.join(FORMATS)}.")
        if not self.minutes > 0:
            raise InputError(f"--minutes is above 0, not {self.minutes:g}.")
        limits = {
            "--latency-ms": self.budget.latency_ms,
            "--parameters": self.budget.parameters,
            "--file-kb": self.budget.file_kb,
        }
        if all(value is None for value in limits.values()):
            raise InputError(f"say what the device allows: {', '.join(limits)}, or several of them.")
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise InputError(f"{name} is above 0, not {value:g}.")
        if {"onnx", "int8"} & set(self.formats):
            require_onnx()

    def decisive(self) -> dict[str, Any]:
        """What may not change when the same command goes on."""
        budget = {**asdict(self.budget), "size": list(self.budget.size)}
        return {"teacher": str(self.teacher), "data": str(self.data), "minutes": self.minutes, **budget}


class Record:
    """What has been done, in `OUT/compress.json`; each stage writes its part when it is finished."""

    def __init__(self, request: Request) -> None:
        self._path = request.out / "compress.json"
        self.values: dict[str, Any] = {"request": request.decisive(), "seconds": {}}
        if not self._path.exists():
            return
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            before, now = found["request"], request.decisive()
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{self._path} is damaged; choose another folder (-o).") from None
        if before != now:
            changed = ", ".join(
                f"{name} {before.get(name)} → {now[name]}" for name in now if before.get(name) != now[name]
            )
            raise InputError(
                f"{request.out} holds a compression with other options ({changed}): it would be neither. Choose "
                "another folder (-o), or give the options that it was begun with."
            )
        self.values = found

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def add(self, **values: Any) -> None:
        """Write more."""
        self.values |= values
        atomic_write_text(self._path, json.dumps(self.values, indent=1) + "\n")

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        """Add what is done inside to the time of a stage, also where it is interrupted."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent: dict[str, float] = self.values["seconds"]
            spent[stage] = round(spent.get(stage, 0.0) + time.perf_counter() - began, 1)
            self.add()
