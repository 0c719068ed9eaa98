"""Power cuts at many points of a recording: what is left is opened by the real code and checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from powercut.contents import State, make_plan, possible_states, problems
from powercut.disk import MODELS, Disk, Model
from powercut.operations import Log, Mark, write_tree
from powercut.recording import Task, Worker, outcomes_of, record
from powercut.workloads import RECOVERY, WORKLOADS

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
        outcomes = outcomes_of(_marks(log, point))
        for model in models:
            for draw in range(n_draws if model in ("ordered", "reordered") else 1):
                rng = np.random.default_rng([task.seed, point, MODELS.index(model), draw])
                tree = disk.left(model, rng)
                with scratch_folder() as folder:
                    write_tree(tree, folder)
                    check = WORKLOADS[task.workload].check
                    wrong = check(folder, task.seed, task.n_steps, outcomes)
                found = Finding(task.workload, task.seed, point, model, draw, tuple(wrong))
                yield found if wrong else None


def cut_again(
    worker: Worker, log: Log, task: Task, after: Iterable[int], *, n_points: int
) -> Iterator[Finding | None]:
    """Cut the power at points of a recording, and again while a library is opened after that.

    Args:
        worker: The worker.
        log: The recording of a task of the workload "writes".
        task: The task.
        after: Numbers of operations after which the power is cut first, in their order.
        n_points: Points of the second power cut, for each of them.
    """
    plan = make_plan(task.seed, task.n_steps)
    disk, n_played = Disk(log.initial), 0
    for point in after:
        for operation in log.operations[n_played:point]:
            disk.play(operation)
        n_played = point
        left = disk.left("reordered", np.random.default_rng([task.seed, point]))
        before = possible_states(plan, outcomes_of(_marks(log, point)))
        with scratch_folder() as folder:
            then = Task("recovery", folder / "task", seed=task.seed)
            (folder / "task" / "library").mkdir(parents=True)
            recovery = record(worker, then, initial=left)
        for found in _cut_recovery(recovery, before, points(recovery, n_points), task.seed):
            yield Finding("recovery", task.seed, point, *found) if found else None


def _cut_recovery(
    log: Log, before: Sequence[State], after: Iterable[int], seed: int
) -> Iterator[tuple[Model, int, tuple[str, ...]] | None]:
    """Yield model, point and problems of each state that is wrong, None of the others."""
    disk, n_played = Disk(log.initial), 0
    for point in after:
        for operation in log.operations[n_played:point]:
            disk.play(operation)
        n_played = point
        outcomes = outcomes_of(_marks(log, point))
        possible = possible_states(RECOVERY, outcomes, before)
        for model in MODELS:
            tree = disk.left(model, np.random.default_rng([seed, point, MODELS.index(model)]))
            with scratch_folder() as folder:
                (folder / "library").mkdir()
                write_tree(tree, folder)
                is_made = outcomes[:1] == ["done"] or before != [{}]
                wrong = problems(folder / "library", possible, exists=is_made)
            yield (model, point, tuple(wrong)) if wrong else None


def _marks(log: Log, n_operations: int) -> list[str]:
    return [entry.text for entry in log.operations[:n_operations] if isinstance(entry, Mark)]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Context manager: an empty folder, in memory where there is room for files in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
