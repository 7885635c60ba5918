"""`srkd compress`: a trained network, photographs and a budget become files for a device, with what they lost."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from srkd.compression import recipe, students
from srkd.compression.report import Outcome, measure, write_report
from srkd.compression.request import Record, Request
from srkd.compression.students import Budget, Student
from srkd.engine.build import Start, build_trainer
from srkd.engine.distributed import leave_world
from srkd.engine.logging import console_logging
from srkd.engine.run import train
from srkd.engine.targets import attach_targets
from srkd.evaluation.sets import find_set
from srkd.imaging.decode import image_size
from srkd.imaging.files import read_image, to_rgb8
from srkd.imaging.resize import imresize
from srkd.inference.device import choose_device
from srkd.inference.export.export import Form, Written, export, open_source
from srkd.inference.export.int8 import Int8
from srkd.inference.forward import upscale_image
from srkd.inference.widths import narrowed
from srkd.networks.slim import Network
from srkd.networks.weights import save_network
from srkd.options import load_train_options
from srkd.types import InputError, WorkError

_REHEARSED, _FEWEST_ITERATIONS = 12, 100
_PROBE = 64  # low-resolution pixels along each side of what the teacher is timed on
_UNDONE = 0.97  # of the time is planned for: validation takes some

Say = Callable[[str], None]


def run(request: Request, *, say: Say = print, quiet: bool = False) -> Outcome:
    """Plan, train, export and measure; what was interrupted goes on with the same request.

    Args:
        request: what is wanted.
        say: told of each stage, a line or a table at a time.
        quiet: the training shows no lines.

    Raises:
        InputError: something of the request cannot be; no file of an earlier compression is lost.
        WorkError: the work failed, or int8 lost more than allowed; the other files are there then.
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    for name in request.tests:
        find_set(name)  # a wrong name is known before the work, not after it
    recipe.room_for(request.out)
    record = Record(request)
    device = str(choose_device(request.device))
    teacher, block, weights = recipe.teacher_block(request.teacher)
    photographs = recipe.photographs_in(request.data)
    training, validation = recipe.held_out(photographs)
    if "student" not in record:
        _plan(request, record, teacher, training, validation, device, say)
    else:
        say(f"{request.out} was begun before: going on. The student is {record['student']['name']}.")
        if not quiet and "table" in record:
            say(record["table"])
    training = recipe.evenly(training, record["lesson"]["photographs"])
    if "iterations" not in record:
        _prepare(request, record, teacher, (block, weights), training, validation, device, say)
    options = request.out / "train.yml"
    if "trained" not in record:
        minutes = record["iterations"] * record["seconds_each"] / 60
        say(f"Training: {record['iterations']:,} iterations, about {minutes:.1f} minutes (srkd train -opt {options}).")
        level = logging.getLogger("srkd").level
        with record.timed("training"):
            found = train(options, auto_resume=True, quiet=quiet)
        console_logging(None)  # what comes now says by itself what is worth it
        logging.getLogger("srkd").setLevel(level)
        record.add(trained=str(found))
    written, refused = _export(request, Path(record["trained"]), training, teacher.scale, say)
    with record.timed("measuring"):
        outcome = measure(
            request.teacher,
            written,
            validation,
            request.tests,
            size=request.budget.size,
            device=device,
            seconds_a_pixel=record["teacher_seconds"] if device == "cpu" else 0.0,
            patience=request.minutes * 15,
            say=say,
        )
    write_report(request.out, outcome, record.values, written, refused)
    say(outcome.table.markdown())
    say(f"Written: {request.out / 'report.md'}, {request.out / 'README.md'} (model card)")
    if refused:
        raise WorkError(f"{refused} The other files are written.")
    return outcome


def compress(
    teacher: str | Path,
    out: str | Path,
    *,
    data: str | Path,
    latency_ms: float | None = None,
    size: tuple[int, int] = (180, 320),
    parameters: int | None = None,
    file_kb: float | None = None,
    minutes: float = 20.0,
    formats: Sequence[str] = ("pth", "onnx"),
    tests: Sequence[str | Path] = (),
    device: str = "auto",
    max_loss: float = 0.1,
    say: Say = print,
    quiet: bool = False,
) -> Outcome:
    """Make a smaller network that does what `teacher` does, within a budget; the same as `srkd compress`.

        srkd.compress("craft_x4.pth", "out", data="photos", latency_ms=30, minutes=20, formats=["onnx", "int8"])

    Args:
        teacher: a weight file of any network that srkd opens.
        out: the folder for everything; the same call goes on in it.
        data: photographs, in the folder or in folders in it.
        latency_ms: time for one image of `size` (height, width) on this machine.
        parameters: the most parameters the network may have.
        file_kb: size of its smallest file, in units of 1024 bytes.
        minutes: time for the teacher's pictures and the training together.
        formats: pth, safetensors, onnx, pt2, int8 (ONNX in 8-bit integers).
        tests: folders or names of sets to measure on, besides the photographs held out.
        device: where it trains.
        max_loss: the most dB that int8 may lose.
        say: called with a line for each stage.
        quiet: the training shows no lines.

    Raises:
        InputError, WorkError, KeyboardInterrupt: see `run`.
    """
    budget = Budget(latency_ms, (size[0], size[1]), parameters, file_kb)
    names = tuple(dict.fromkeys(formats)), tuple(map(str, tests))
    request = Request(Path(teacher), Path(out), Path(data), budget, minutes, *names, device, max_loss)
    return run(request, say=say, quiet=quiet)


def _plan(
    request: Request,
    record: Record,
    teacher: Network,
    training: Sequence[Path],
    validation: Sequence[Path],
    device: str,
    say: Say,
) -> None:
    """Choose the student and how the teacher teaches it, and say so."""
    kind = f"{type(teacher).__name__} ×{teacher.scale}"
    say(f"Teacher: {kind}. Budget: {request.budget}. Measuring on this machine ({device}) …")
    busy, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    if device == "cpu" and busy > 1.5 * cores:
        say(
            f"warning: {busy:.0f} programs share the {cores} cores of this machine now. Times come out longer, so the "
            "student becomes smaller than it need be, and learns less in the same minutes."
        )
    found = [students.judged(one, request.budget, device) for one in students.candidates(teacher, request.formats)]
    gt_size = _gt_size(teacher.scale)
    timed = [_with_training_time(one, device, gt_size) if not one.too_much else one for one in found]
    best = students.chosen(timed)
    table = students.table_of(timed, best, request.minutes).markdown()
    say(table)
    if best is None:
        times = [one.latency_ms for one in timed if one.latency_ms is not None]
        fastest = f" The fastest takes {min(times):.1f} ms here." if times else ""
        raise InputError(
            f"no student keeps the budget ({request.budget}); the table says what each takes.{fastest} Allow more, or "
            "a smaller --size."
        )
    each = _teacher_seconds(teacher, training[0], device)
    pixels = sum(_pixels(path) for path in training) / teacher.scale**2
    lesson = recipe.lesson(len(training), each * pixels / len(training), request.minutes * 60)
    turns = " (mean of eight turns)" if lesson.self_ensemble else ""
    left = f" of {len(training)}, as more would take too long" if lesson.photographs < len(training) else ""
    say(
        f"Plan: {best.name}. The teacher draws {lesson.photographs} photographs{left}{turns}, about "
        f"{lesson.seconds / 60:.1f} minutes; the rest of the {request.minutes:g} minutes is training, half from the "
        f"originals and half from those pictures. {len(validation)} photographs are held out to measure with."
    )
    precision = students.training_precision(
        students.build(best.network), torch.device(device), gt_size=gt_size, batch_size=recipe.BATCH_SIZE
    )
    if best.width is not None:
        save_network(recipe.first_weights(request.out), narrowed(teacher, best.width))
    record.add(
        student={**asdict(best), "name": best.name},
        lesson=asdict(lesson),
        precision=precision,
        teacher_seconds=each,
        table=table,
        budget=str(request.budget),
        photographs=len(training),
        held_out=len(validation),
    )


def _prepare(
    request: Request,
    record: Record,
    teacher: Network,
    teacher_options: tuple[dict[str, Any], str | None],
    training: Sequence[Path],
    validation: Sequence[Path],
    device: str,
    say: Say,
) -> None:
    """The teacher's pictures, and an option file with as many iterations as the rest of the time has room for."""
    chosen: dict[str, Any] = {name: value for name, value in record["student"].items() if name != "name"}
    chosen["too_much"] = ()
    student = Student(**chosen)

    def write(iterations: int) -> Path:
        options = recipe.options_of(
            student,
            teacher_options,
            training,
            validation,
            request.out,
            scale=teacher.scale,
            gt_size=_gt_size(teacher.scale),
            self_ensemble=record["lesson"]["self_ensemble"],
            precision=record["precision"],
            iterations=iterations,
            device=device,
        )
        recipe.write_options(request.out / "train.yml", options)
        return request.out / "train.yml"

    file = write(10**6)
    try:
        trainer = build_trainer(load_train_options(file), Start(dry=True))
        trainer.batches.dataset.prepare(None)
        with record.timed("pictures"):
            attach_targets(trainer.method, trainer.batches, trainer.world, progress=_told(say))
        (seconds, _), _ = trainer.rehearse(_REHEARSED)
    finally:
        leave_world()
    left = request.minutes * 60 - record["seconds"]["pictures"]
    iterations = max(int(_UNDONE * left / seconds), _FEWEST_ITERATIONS)
    write(iterations)
    record.add(iterations=iterations, seconds_each=seconds)


def _export(
    request: Request, trained: Path, training: Sequence[Path], scale: int, say: Say
) -> tuple[dict[str, Written], str]:
    """The student in each format, checked; and why int8 was refused, if it was."""
    stem, refused = request.out / f"student_x{scale}", ""
    told = f"{len(training)} photographs of {request.data}"
    plain = export(open_source(trained, training_set=told), stem.with_suffix(".pth"))
    written = {"pth": plain}
    source = open_source(plain.path)
    for name in dict.fromkeys(request.formats):
        if name == "pth":
            continue
        path = stem.with_suffix(f".{name}") if name != "int8" else stem.with_name(f"{stem.name}_int8.onnx")
        form = Form(int8=Int8(8, request.max_loss, _large(training, scale))) if name == "int8" else Form()
        say(f"Writing {path} …")
        try:
            written[name] = export(source, path, form=form)
        except WorkError as error:
            if name != "int8":
                raise
            refused = str(error)
            say(f"warning: {refused}")
    return written, refused


def _large(photographs: Sequence[Path], scale: int) -> tuple[Path, ...]:
    """Those that int8 is tried on: it cuts all to the size of the smallest."""
    large = tuple(path for path in photographs if min(image_size(path)) >= _PROBE * scale)
    return large if len(large) >= recipe.FEWEST else tuple(photographs)


def _told(say: Say) -> Callable[[int, int], None]:
    """Says now and then how many pictures are made, and how long the rest takes."""
    began = last = time.perf_counter()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if done == total or now - last > 20:
            last = now
            left = (now - began) / done * (total - done)
            say(f"The teacher's pictures: {done} of {total}, {left / 60:.1f} minutes left.")

    return progress


def _with_training_time(student: Student, device: str, gt_size: int) -> Student:
    network, where = students.build(student.network), torch.device(device)
    seconds = students.training_seconds(network, "fp32", where, gt_size=gt_size, batch_size=recipe.BATCH_SIZE)
    return replace(student, seconds=seconds)


def _teacher_seconds(teacher: Network, photograph: Path, device: str) -> float:
    """Seconds for one low-resolution pixel."""
    image = imresize(to_rgb8(read_image(photograph)), scale=1 / teacher.scale)[:_PROBE, :_PROBE]
    network = teacher.to(device)
    upscale_image(network, image)
    began = time.perf_counter()
    upscale_image(network, image)
    return (time.perf_counter() - began) / (image.shape[0] * image.shape[1])


def _pixels(path: Path) -> int:
    height, width = image_size(path)
    return height * width


def _gt_size(scale: int) -> int:
    return recipe.GT_SIZE // scale * scale
