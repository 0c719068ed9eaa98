"""Power cuts at many points of a recording: what is left is opened by the real code and checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from powercut.disk import MODELS, Disk, Model
from powercut.operations import Log, Mark, write_tree
from powercut.recording import Task, outcomes_of
from powercut.workloads import WORKLOADS

MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise.

    Attributes:
        workload: The workload.
        seed: Its seed.
        point: Number of operations before the power cut.
        model: What was left of them.
        draw: Number of the draw, where the model draws.
        problems: What is wrong.
    """

    workload: str
    seed: int
    point: int
    model: Model
    draw: int
    problems: tuple[str, ...]


def points(log: Log, n_points: int) -> list[int]:
    """Return numbers of operations after which the power is cut, evenly spread."""
    return sorted(set(np.linspace(0, len(log.operations), n_points).astype(int).tolist()))


def cut(
    log: Log,
    task: Task,
    after: Iterable[int],
    *,
    models: Sequence[Model] = MODELS,
    n_draws: int = 1,
) -> Iterator[Finding | None]:
    """Cut the power at points of a recording; yield for each state what is wrong, or None.

    Args:
        log: The recording.
        task: What was recorded.
        after: Numbers of operations after which the power is cut, in their order.
        models: What may be left.
        n_draws: States for each point and each model that draws.
    """
    disk, n_played = Disk(log.initial), 0
    for point in after:
        for operation in log.operations[n_played:point]:
            disk.play(operation)
        n_played = point
        marks = [entry.text for entry in log.operations[:point] if isinstance(entry, Mark)]
        for model in models:
            for draw in range(n_draws if model in ("ordered", "reordered") else 1):
                rng = np.random.default_rng([task.seed, point, MODELS.index(model), draw])
                tree = disk.left(model, rng)
                with scratch_folder() as folder:
                    write_tree(tree, folder)
                    check = WORKLOADS[task.workload].check
                    wrong = check(folder, task.seed, task.n_steps, outcomes_of(marks))
                found = Finding(task.workload, task.seed, point, model, draw, tuple(wrong))
                yield found if wrong else None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Context manager: an empty folder, in memory where there is room for files in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
