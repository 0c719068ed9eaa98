"""The processes of a run: one, or those that ``torchrun`` starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

PREPARATION_TIMEOUT = timedelta(days=7)  # decoding a large data set takes hours


@dataclass(frozen=True, slots=True)
class Processes:
    """The number of this process, and of all.

    Attributes:
        rank: Number of this process, from 0.
        world_size: Number of processes.
        preparation_group: Process group with a long timeout, for ``run_in_first``.
    """

    rank: int = 0
    world_size: int = 1
    preparation_group: distributed.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """True for the process that writes files and shows progress."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average the gradients of a module over the processes; its buffers stay local (A16)."""
        if self.world_size == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)

    def run_in_first(self, prepare: Callable[[], None]) -> None:
        """Call a function in the first process; the others wait until it returns.

        The function may take days. Every other wait has the default timeout of its backend, so
        that a process that hangs is noticed.
        """
        if self.is_first:
            prepare()
        if self.world_size > 1:
            distributed.barrier(self.preparation_group)

    def gather(self, value: Any) -> list[Any]:
        """Collect a value of every process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values

    def maximum(self, values: list[float]) -> list[float]:
        """Return the largest of each value over the processes, so that all of them agree."""
        if self.world_size == 1:
            return values
        on_gpu = distributed.get_backend() == "nccl"
        largest = torch.tensor(values, dtype=torch.float64, device="cuda" if on_gpu else "cpu")
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        agreed: list[float] = largest.tolist()
        return agreed


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
    group = distributed.new_group(backend="gloo", timeout=PREPARATION_TIMEOUT)
    assert isinstance(group, distributed.ProcessGroup)
    try:
        yield Processes(rank, distributed.get_world_size(), group)
    finally:
        distributed.destroy_process_group()
