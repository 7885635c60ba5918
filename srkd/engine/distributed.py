"""One process a GPU, started by `torchrun` (or Slurm); a single process needs none of it."""

from __future__ import annotations

import gc
import os
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from srkd.inference.device import choose_device
from srkd.types import InputError

PATIENCE = timedelta(hours=6)
"""How long processes wait for one of them, for example while it validates; NCCL's own limit is ten minutes."""


@dataclass(frozen=True)
class World:
    """This process among its peers."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0


def join_world(launcher: Literal["none", "pytorch", "slurm"], wanted: str) -> World:
    """Join the process group that `torchrun` announces in the environment; without one, be the only process."""
    if launcher == "slurm":
        for ours, theirs in (("RANK", "SLURM_PROCID"), ("WORLD_SIZE", "SLURM_NTASKS"), ("LOCAL_RANK", "SLURM_LOCALID")):
            if theirs not in os.environ:
                raise InputError(f"--launcher slurm: {theirs} is not set; start the command with srun.")
            os.environ.setdefault(ours, os.environ[theirs])
        if "MASTER_ADDR" not in os.environ and int(os.environ.get("SLURM_NNODES", "1")) > 1:
            raise InputError("--launcher slurm on several nodes: set MASTER_ADDR to the name of the first one.")
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29500")
    elif launcher == "pytorch" and "RANK" not in os.environ:
        raise InputError(
            "--launcher pytorch: no process group is announced; start with: "
            "torchrun --nproc_per_node=N -m srkd train -opt FILE"
        )
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = choose_device(wanted)
    if size == 1:
        if device.index:  # cuda:1
            torch.cuda.set_device(device)
        return World(0, 1, device)
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local if local < torch.cuda.device_count() else 0)  # srun may show each its own
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    return World(dist.get_rank(), size, device)


def gather_objects(world: World, value: Any) -> list[Any]:
    """Everybody's `value`, by rank."""
    if world.size == 1:
        return [value]
    gathered: list[Any] = [None] * world.size
    dist.all_gather_object(gathered, value)
    return gathered


def any_rank(world: World, flag: int) -> int:
    """The largest `flag` of all ranks: nobody stops alone."""
    if world.size == 1:
        return flag
    tensor = torch.tensor(flag, device=world.device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return int(tensor)


def leave_world() -> None:
    """Leave the process group, if one was joined."""
    if dist.is_available() and dist.is_initialized():
        gc.collect()  # a DDP module in a reference cycle would outlive the group and abort the interpreter's exit
        dist.destroy_process_group()


def parallel(
    module: nn.Module, world: World, *, find_unused_parameters: bool = False, broadcast_buffers: bool = True
) -> nn.Module:
    """`module`, its gradients averaged over all processes where there are several; options as torch's."""
    if world.size == 1:
        return module
    # From torch 2.13 on the name is deprecated; the new one shares buffers once at the start, which False must not.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    return DistributedDataParallel(
        module,
        device_ids=[world.device.index] if world.device.type == "cuda" else None,
        find_unused_parameters=find_unused_parameters,
        broadcast_buffers=broadcast_buffers,
        gradient_as_bucket_view=True,  # gradients are not copied to be exchanged
    )
