"""What came out: teacher and files in one table, with what each loses, takes and weighs; a report and a model card."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from srkd.atomic import atomic_write_text
from srkd.compat.loading import load_network
from srkd.compat.onnx_file import OnnxRuntime, onnx_network
from srkd.compression.students import cost_of
from srkd.evaluation.benchmark import benchmark
from srkd.evaluation.card import results_of
from srkd.evaluation.models import Model, load_models, multi_adds_720p
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import Result, read_result
from srkd.evaluation.sets import TestSet, find_set
from srkd.evaluation.tables import write_result
from srkd.imaging.decode import image_size
from srkd.imaging.files import read_image
from srkd.inference.export.card import entry, model_card
from srkd.inference.export.export import Form, Written, open_source
from srkd.networks.slim import Network
from srkd.table import Column, Table

HELD_OUT = "held out"

_RUN_HERE = ("pth", "onnx", "int8")


@dataclass(frozen=True)
class Outcome:
    """What a compression made.

    Attributes:
        files: by format.
        table: a row for the teacher and for each file that runs here.
        results: the benchmark of each set.
    """

    files: Mapping[str, Path]
    table: Table
    results: Sequence[Result]


def measure(
    teacher: Path,
    written: Mapping[str, Written],
    validation: Sequence[Path],
    tests: Sequence[str],
    *,
    size: tuple[int, int],
    device: str,
    seconds_a_pixel: float,
    patience: float,
    say: Callable[[str], None],
) -> Outcome:
    """PSNR on the photographs that were held out and on test sets, milliseconds, and size of each file.

    Args:
        teacher: its weight file.
        written: the files.
        validation: photographs that were held out.
        tests: names or folders of sets.
        size: of the image that is timed.
        device: where the networks run; `.onnx` files run on the CPU.
        seconds_a_pixel: that the teacher takes for a low-resolution pixel; a set on which it would take longer than …
        patience: … so many seconds is measured without it.
        say: told what is measured, and what is not.
    """
    files = {name: written[name].path for name in _RUN_HERE if name in written}
    models = [
        replace(model, name=path.name)
        for path, model in zip(files.values(), load_models([*files.values()]), strict=True)
    ]
    (of_teacher,) = load_models([teacher])
    assert of_teacher.network is not None
    scale = of_teacher.network.scale
    protocol, results = protocol_of("y", scale), list[Result]()
    for test_set in (_own_set(validation), *(find_set(name) for name in tests)):
        pixels = _pixels(test_set, validation) / scale**2
        own: list[Model] = [*models]
        if pixels * seconds_a_pixel > patience:
            say(
                f"{test_set.name}: without the teacher, which would take {pixels * seconds_a_pixel / 60:.0f} minutes "
                f"here (srkd benchmark {teacher} --sets {test_set.origin or test_set.name})."
            )
        else:
            own.insert(0, replace(of_teacher, only=(1.0,)))
        say(f"Measuring on {test_set.name} ({len(test_set.images)} images) …")
        results.append(benchmark(own, [test_set], protocol=protocol, device=device))
    table = _table(of_teacher, files, results, size, device)
    return Outcome({name: one.path for name, one in written.items()}, table, results)


def write_report(
    out: Path, outcome: Outcome, record: Mapping[str, Any], written: Mapping[str, Written], refused: str
) -> None:
    """`report.md`, the results with their images, and the model card `README.md`."""
    names: list[str] = []
    for result in outcome.results:
        path = out / f"results_{result.sets[0]['name'].replace(' ', '_')}.json"
        write_result(path, result)
        names.append(path.name)
    source = open_source(outcome.files["pth"])
    entries = [entry(one, multi_adds_720p(one.network)) for one in written.values()]
    results = results_of(read_result(out / names[0]), source.network, source.path)
    atomic_write_text(out / "README.md", model_card(source, Form(), entries, results=results))
    lesson, spent, asked = record["lesson"], record["seconds"], record["request"]
    turns = "the mean of eight turns" if lesson["self_ensemble"] else "one pass each"
    int8 = written["int8"].quantised if "int8" in written else None
    lines = [
        f"# {asked['teacher']} compressed",
        "",
        f"Budget: {record['budget']}. Photographs: {asked['data']}, {record['photographs']} to train with and "
        f"{record['held_out']} held out.",
        "",
        "## Plan",
        "",
        record["table"],
        "",
        f"The teacher drew {lesson['photographs']} photographs ({turns}). The student, {record['student']['name']}, "
        f"learnt for {record['iterations']:,} iterations, half from the originals and half from those pictures "
        "(train.yml).",
        "",
        "Seconds: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in spent.items()) + ".",
        "",
        "## Result",
        "",
        outcome.table.markdown(),
        "",
        f"PSNR in dB: {outcome.results[0].protocol['description']}. Milliseconds: one image of {asked['size'][0]} × "
        f"{asked['size'][1]} pixels on {outcome.results[0].environment['hardware']}, "
        f"{outcome.results[0].environment['threads']} threads, as `Upscaler` runs it. Single images: "
        f"{', '.join(names)}.",
        "",
        *([f"int8: {int8}.", ""] if int8 else []),
        *([f"int8 was refused: {refused}", ""] if refused else []),
        "Each file was run back and compared with the trained network:",
        "",
        *(
            f"- {one.path.name}: " + "; ".join(f"{found} ({runtime})" for runtime, found in one.parity.items())
            for one in written.values()
        ),
    ]
    atomic_write_text(out / "report.md", "\n".join(lines) + "\n")


def _table(
    teacher: Model, files: Mapping[str, Path], results: Sequence[Result], size: tuple[int, int], device: str
) -> Table:
    """The teacher, then the files; each ONNX file a second time in OpenVINO where that is installed."""
    sets = [result.sets[0]["name"] for result in results]
    columns = [
        Column("", "name"),
        Column("runs in", "name"),
        *(Column(name, digits=3, unit="dB") for name in sets),
        Column("median", digits=1, unit="ms"),
        Column("memory", digits=0, unit="MiB"),
        Column("file", digits=0, unit="KB"),
    ]
    table = Table(columns)

    def add(name: str, path: Path, network: Network, where: str, scored: str) -> None:
        found = cost_of(network, size, where)
        own = network.config
        runs_in = f"{own['runtime']} {own['precision']}" if "runtime" in own else f"torch {found.precision}"
        values = [
            next((row.metrics["psnr"] for row in result.summary if row.model == scored and row.metrics), None)
            for result in results
        ]
        table.rows.append([name, runs_in, *values, found.latency_ms, found.memory_mb, path.stat().st_size / 1024])

    path = Path(teacher.origin["path"])
    add(f"{teacher.name} (teacher)", path, load_network(path), device, teacher.name)
    for kind, path in files.items():
        if kind == "pth":
            add(path.name, path, load_network(path), device, path.name)
            continue
        for runtime in get_args(OnnxRuntime):
            if importlib.util.find_spec(runtime):
                add(path.name, path, onnx_network(path, runtime=runtime), "cpu", path.name)
    bicubic = [next(row.metrics["psnr"] for row in result.summary if row.model == "bicubic") for result in results]
    table.rows.append(["bicubic", "", *bicubic, None, None, None])
    return table


def _own_set(photographs: Sequence[Path]) -> TestSet:
    return TestSet(
        HELD_OUT,
        [path.stem for path in photographs],
        lambda index: (read_image(photographs[index]), None),
        str(photographs[0].parent),
    )


def _pixels(test_set: TestSet, validation: Sequence[Path]) -> int:
    """Of all images of a set, from the files' headers."""
    if test_set.name == HELD_OUT:
        return sum(height * width for height, width in map(image_size, validation))
    return sum(image.shape[0] * image.shape[1] for image, _ in map(test_set.read, range(len(test_set.images))))
