"""From an option file's contents to a trainer: the only place where options meet components."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from rich.console import Console
from torch import nn

from srkd import tf32
from srkd.data.batches import TrainBatches
from srkd.data.paired_image import PairedImageDataset
from srkd.engine.checkpoint import Folder, archive, restore
from srkd.engine.distributed import World, gather_objects, join_world
from srkd.engine.logging import RunLog, recording
from srkd.engine.networks import build_student, build_teachers, where_of
from srkd.engine.optim import Ema
from srkd.engine.origin import hash_of_order, origin_of_run
from srkd.engine.resuming import Resumed, record_options, resume, say_changes
from srkd.engine.schedule import constant, with_warmup
from srkd.engine.seeding import seed_everything
from srkd.engine.settings import Compile, Settings
from srkd.engine.sinks import MetricsFile, ProgressBar, Sink, TensorBoard, TextLog, Wandb, require_wandb
from srkd.engine.trainer import Trainer
from srkd.engine.validation import Metric, Validator
from srkd.inference.precision import fastest_for_training
from srkd.methods.assemble import build_method, check_network
from srkd.methods.base import Method
from srkd.networks.slim import Network
from srkd.networks.weights import load_params, read_weights
from srkd.options import Component, TrainOptions
from srkd.provenance import environment
from srkd.registry import DATASETS, LOSSES, METRICS, OPTIMIZERS, SCHEDULERS
from srkd.signature import option_names
from srkd.types import InputError, located

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """How a run begins, beside its option file.

    Args:
        launcher: who started the processes.
        auto_resume: go on from the newest training state of the experiment, if there is one.
        dry: build everything but write nothing (`--check`).
        console: for the progress bar; None for none.
        sinks: what else is told of the run.
    """

    launcher: Literal["none", "pytorch", "slurm"] = "none"
    auto_resume: bool = False
    dry: bool = False
    console: Console | None = None
    sinks: Sequence[Sink] = ()


def build_trainer(opt: TrainOptions, start: Start = Start()) -> Trainer:
    """Build everything that a training run needs; nothing is written until all input has been checked.

    Raises:
        InputError: any of the input is wrong: it begins with the dotted option path.
    """
    with recording() as records, ExitStack() as held:
        trainer = _build(opt, start, records, held)
        trainer.held = held.pop_all()
        return trainer


def _build(opt: TrainOptions, start: Start, records: Sequence[logging.LogRecord], held: ExitStack) -> Trainer:
    world = join_world(start.launcher, "cpu" if opt.num_gpu == 0 else opt.device)
    _tell(opt, world)
    require_wandb(opt.logger.wandb and opt.logger.wandb.project)
    folder = Folder(Path(opt.path.experiments_root or "experiments") / opt.name)
    resumed = resume(opt, folder, automatic=start.auto_resume)

    seed_everything(opt.manual_seed)
    torch.backends.cudnn.benchmark = True  # patches have one size; validation images are few
    # fp32 means fp32: unless they are allowed to, GPUs must not round to 10 bits on the way.
    held.enter_context(tf32.convolutions(tf32=opt.train.precision == "tf32"))
    student = build_student(opt, resuming=resumed is not None)
    log.info(
        "network_g: %s, %s parameters", type(student).__name__, f"{sum(p.numel() for p in student.parameters()):,}"
    )
    teachers = build_teachers(opt)
    named = {where_of(name): network for name, network in teachers.items()}
    for where, network in {"network_g": student, **named}.items():
        check_network(where, network, student=student, scale=opt.scale)
    pixel = construct("train.pixel_opt", LOSSES.get(opt.train.pixel_opt.type), opt.train.pixel_opt)
    log.info("method: %s", opt.method.type)
    method = build_method(opt.method.type, opt.method.args, student=student, teachers=teachers, pixel=pixel)
    method.to(world.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batches = build_batches(opt, world)
    validation = {
        name: build_dataset(f"datasets.{name}", block.component, opt.scale)
        for name, block in (opt.datasets.val.items() if opt.val else ())
    }
    if cut := next((name for name, dataset in validation.items() if getattr(dataset, "gt_size", None)), None):
        raise InputError(f"datasets.{cut}: remove gt_size: whole images are measured, and small ones are not left out.")

    optim = opt.train.optim_g
    optimizer = construct("train.optim_g", OPTIMIZERS.get(optim.type), optim, method.param_groups())
    for group in optimizer.param_groups:
        group["lr"] *= group.pop("lr_factor", 1.0)
    scheduler = opt.train.scheduler
    rate = construct("train.scheduler", SCHEDULERS.get(scheduler.type), scheduler) if scheduler else constant
    if opt.train.compile:
        method.compile(mode=_compile_mode(opt))

    widths, settings = _validation_widths(opt, student, method), _settings(opt, world)
    iteration = resumed.iteration if resumed else 0
    run_log = _run_log(opt, folder, world, start, iteration, records)
    if not start.dry:  # from here on files are written: what can be checked has been
        _prepare_folder(opt, folder, world, held, resumed)
    validator = Validator(
        validation,
        metrics={
            name: Metric(functools.partial(METRICS.get(m.type), **m.args), m.better)
            for name, m in (opt.val.metrics.items() if opt.val else ())
        },
        widths=widths,
        run_log=run_log,
        folder=folder.visualization if opt.val and opt.val.save_img else None,
        suffix=opt.val.suffix if opt.val else None,
    )
    trainer = Trainer(
        method,
        batches,
        optimizer=optimizer,
        rate=with_warmup(rate, opt.train.warmup_iter),
        settings=settings,
        world=world,
        folder=folder,
        run_log=run_log,
        ema=Ema(nn.ModuleDict(method.networks), decay=opt.train.ema_decay, warmup=opt.train.ema_warmup)
        if opt.train.ema_decay
        else None,
        validate=validator if validation else None,
        origin=origin_of_run(
            opt.manual_seed, student, hash_of_order(batches, settings.accumulate), resumed and resumed.state
        ),
    )
    seed_everything(opt.manual_seed + world.rank)
    if resumed:
        load_params(student, resumed.weights)
        files = {name: read_weights(folder.network(iteration, name)) for name in method.networks if trainer.ema}
        averages = {f"{n}.{key}": v for n, w in files.items() if w.key == "params_ema" for key, v in w.params.items()}
        restore(trainer, resumed.state, averages)
        if world.is_main:
            say_changes(resumed, folder, world.size, opt)
    return trainer


def construct(where: str, build: Callable[..., T], component: Component, *wired: Any) -> T:
    """Call `build(*wired, **options)`; a ValueError of the constructor becomes an `InputError` that says where."""
    with located(f"{where} ({component.type})"):
        return build(*wired, **component.args)


VALIDATION_DATA = ("scale", "gt_size", "names", "pair", "__len__")
TRAINING_DATA = ("scale", "gt_size", "use_hflip", "use_rot", "gpu_cache", "prepare", "pair", "__len__")
"""What is asked of a data set, see `PairSource`; a plugin's that lacks something is told so before anything runs."""


def build_dataset(where: str, component: Component, scale: int) -> PairedImageDataset:
    """The data set of one block; it is told the scale."""
    kind = DATASETS.get(component.type)
    own = Component(component.type, {name: value for name, value in component.args.items() if name != "scale"})
    told = {"scale": scale} if "scale" in option_names(kind) else {}
    dataset = construct(where, functools.partial(kind, **told), own)
    needed = TRAINING_DATA if where == "datasets.train" else VALIDATION_DATA
    if missing := [name for name in needed if not hasattr(dataset, name)]:
        raise InputError(
            f"{where} ({component.type}): this class of data sets lacks {', '.join(missing)}; it needs "
            f"{', '.join(needed)}, as srkd.data.paired_image.PairedImageDataset has them."
        )
    if dataset.scale != scale:
        raise InputError(f"{where} ({component.type}): its scale is {dataset.scale}, but `scale` is {scale}.")
    return dataset


def build_batches(opt: TrainOptions, world: World) -> TrainBatches:
    """The training batches of this process."""
    block = opt.datasets.train
    dataset = build_dataset("datasets.train", block.component, opt.scale)
    if dataset.gt_size is None:
        raise InputError("datasets.train: gt_size is required: the size of the high-resolution patch, for example 192.")
    return TrainBatches(
        dataset,
        seed=opt.manual_seed,
        batch_size=block.batch_size_per_gpu,
        rank=world.rank,
        world_size=world.size,
        name=block.name if block.name != "train" else None,  # a block without a name is called by its key
    )


def _validation_widths(opt: TrainOptions, student: Network, method: Method) -> tuple[float, ...]:
    widths = tuple(opt.val.widths) if opt.val and opt.val.widths else method.widths
    for width in widths:
        with located("val.widths"):
            student.channels(width)
    return widths


def _settings(opt: TrainOptions, world: World) -> Settings:
    precision = opt.train.precision
    if precision in ("fp16", "tf32") and world.device.type == "cpu":
        raise InputError(f"train.precision: {precision} needs a GPU; on the CPU fp32 and bf16 are allowed.")
    if precision == "tf32":
        if world.device.type != "cuda" or torch.cuda.get_device_capability(world.device) < (8, 0):
            raise InputError(
                f"train.precision: tf32 needs an NVIDIA GPU of 2020 or later, which {world.device} is not."
            )
        precision = "fp32"  # as the convolutions of this process have been told to compute it
    if precision == "auto":
        precision = fastest_for_training(world.device)
        log.info("train.precision is auto: %s.", precision)
    workers = opt.datasets.train.num_worker_per_gpu
    if world.device.type == "cpu":  # they would take the cores that train
        workers = 0
    return Settings(
        total_iter=opt.train.total_iter,
        precision=precision,
        compile=_compile_mode(opt),
        cuda_graph=bool(opt.train.cuda_graph),
        accumulate=opt.train.accumulate,
        grad_clip=opt.train.grad_clip,
        print_freq=opt.logger.print_freq,
        save_freq=opt.logger.save_checkpoint_freq,
        val_freq=opt.val.val_freq if opt.val else None,
        num_workers=min(workers, os.cpu_count() or 1),
    )


def _compile_mode(opt: TrainOptions) -> Compile | None:
    return ("default" if opt.train.compile is True else opt.train.compile) or None


def _tell(opt: TrainOptions, world: World) -> None:
    log.info(", ".join(f"{name} {value}" for name, value in environment(str(world.device)).items() if value != ""))
    for notice in opt.notices:
        log.info(notice)
    for warning in opt.warnings:
        log.warning(warning)
    if world.device.type == "cpu" and opt.num_gpu not in (0, "auto"):
        log.warning("num_gpu is %s, but this machine has no GPU that torch can use: training on the CPU.", opt.num_gpu)
    elif opt.num_gpu not in (0, 1, "auto") and world.size != opt.num_gpu:
        log.warning(
            "num_gpu is %s, but this run has %d process(es); for several GPUs: "
            "torchrun --nproc_per_node=%s -m srkd train -opt FILE",
            opt.num_gpu,
            world.size,
            opt.num_gpu,
        )


def _prepare_folder(opt: TrainOptions, folder: Folder, world: World, held: ExitStack, resumed: Resumed | None) -> None:
    if world.is_main:
        held.enter_context(folder.claimed())
        folder.remove_leftovers()
        for earlier in () if resumed else (folder.root, Path("tb_logger") / opt.name):
            if moved := archive(earlier):
                log.info("%s existed: moved to %s.", earlier, moved)
        record_options(opt, folder, resumed)
    gather_objects(world, None)  # nobody goes on before the folder is there


def _run_log(
    opt: TrainOptions, folder: Folder, world: World, start: Start, iteration: int, earlier: Sequence[logging.LogRecord]
) -> RunLog:
    sinks: list[Sink] = [*start.sinks] if world.is_main else []
    if world.is_main and not start.dry:
        sinks.append(TextLog(folder.root / "train.log", earlier))
    if world.is_main and start.console is not None and start.console.is_terminal:
        sinks.append(ProgressBar(start.console, opt.name, opt.train.total_iter, iteration))
    if world.is_main and not start.dry:
        sinks.append(MetricsFile(folder.metrics, iteration))
        if opt.logger.use_tb_logger:
            sinks.append(TensorBoard(Path("tb_logger") / opt.name, iteration))
        if opt.logger.wandb and (project := opt.logger.wandb.project):
            sinks.append(Wandb(opt.name, project, opt.logger.wandb.resume_id))
    return RunLog(opt.name, opt.train.total_iter, sinks, start_iter=iteration)
