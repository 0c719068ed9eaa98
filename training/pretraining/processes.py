"""The processes that share a run: one, or as many as ``torchrun`` starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many this process is.

    Attributes:
        rank: Number of this process, from 0.
        world_size: How many there are.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average the gradients of a module over the processes; its buffers stay local (A16)."""
        if self.world_size == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world_size > 1:
            distributed.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Collect a value of every process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, by nccl on GPUs and by gloo elsewhere."""
    if not distributed.is_torchelastic_launched():
        yield Processes()
        return
    on_gpu = torch.cuda.is_available()
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    rank = distributed.get_rank()
    if on_gpu:
        torch.cuda.set_device(rank % torch.cuda.device_count())
    try:
        yield Processes(rank, distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
