"""Power cuts at many points of real writes: what was acknowledged is there, the rest wholly or not.

The system calls of the real code are recorded once. Four models say what a disk may have left after
each of them; the real code opens it. Recordings without one kind of sync show that a loss is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from powercut import tracing
from powercut.disk import Disk, without_syncs
from powercut.operations import (
    Binding,
    Log,
    Names,
    Operation,
    Resize,
    Sync,
    Write,
    read_tree,
)
from powercut.power_cuts import Finding, cut, cut_again, points
from powercut.recording import Task, Worker, record, running
from powercut.workloads import WORKLOADS

# On demand, `make powercut` tries many more.
N_POINTS = 40
N_POINTS_OF_OTHERS = 12

AUDIO = r"library/tmp/\w+/\w+"
NEEDED = [
    ("writes", ""),
    ("writes", "library"),
    ("writes", "library/catalog.sqlite"),
    ("writes", "library/catalog.sqlite-wal"),
    ("writes", AUDIO),
    ("writes", "library/audio"),
    ("writes", "library/audio/.."),
    ("backup", r"\.backup\.tar\..*"),
    ("backup", ""),
    ("keys", r"\.keys\.txt\..*"),
    ("keys", ""),
    ("folder", r"\.target\.\w+\.tmp/.*"),
    ("folder", ""),
]
"""Syncs, by workload and path, of which none may be left out."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    if reason := tracing.why_not():
        pytest.skip(reason)
    with running() as process:
        yield process


@pytest.fixture(scope="module")
def logs(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Task, Log]]:
    """A recording of every workload."""
    root = tmp_path_factory.mktemp("recorded")
    tasks = [Task(name, root / name) for name in WORKLOADS]
    return {task.workload: (task, record(worker, task)) for task in tasks}


def first_finding(task: Task, log: Log, n_points: int = N_POINTS) -> Finding | None:
    return next(filter(None, cut(log, task, points(log, n_points))), None)


def played(*operations: Operation) -> Disk:
    """Return a disk that held "folder/old" and on which these were done."""
    disk = Disk({"folder": None, "folder/old": b"old"})
    for operation in operations:
        disk.play(operation)
    return disk


MADE = Names((Binding(1, "new", 3),), made=3)
RENAMED = Names((Binding(1, "new", None), Binding(1, "old", 3)))
WRITTEN = Write(3, 0, b"new")


def test_a_killed_process_leaves_all_it_did() -> None:
    assert played(MADE, WRITTEN, RENAMED).left("kill") == {"folder": None, "folder/old": b"new"}


@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ([MADE, WRITTEN], {"folder/old": b"old"}),
        ([MADE, WRITTEN, Sync(1, "folder")], {"folder/old": b"old", "folder/new": b""}),
        ([MADE, WRITTEN, RENAMED, Sync(1, "folder")], {"folder/old": b""}),
        ([MADE, WRITTEN, Sync(3, "folder/new"), RENAMED], {"folder/old": b"old"}),
        ([MADE, WRITTEN, Sync(3, "n"), RENAMED, Sync(1, "folder")], {"folder/old": b"new"}),
        ([Write(2, 0, b"x"), Resize(2, 5)], {"folder/old": b"old"}),
        ([Write(2, 0, b"x"), Resize(2, 5), Sync(2, "folder/old")], {"folder/old": b"xld\0\0"}),
    ],
)
def test_a_strict_disk_keeps_what_was_synchronised(
    operations: list[Operation], left: dict[str, bytes]
) -> None:
    assert played(*operations).left("strict") == {"folder": None, **left}


def test_an_ordered_disk_keeps_a_beginning_with_the_last_sync() -> None:
    disk = played(MADE, Sync(1, "folder"), WRITTEN, RENAMED)
    found = {str(disk.left("ordered", np.random.default_rng(seed))) for seed in range(30)}
    content = [
        {"folder/old": b"old", "folder/new": b""},
        {"folder/old": b"old", "folder/new": b"new"},
        {"folder/old": b"new"},
    ]
    assert found == {str({"folder": None, **left}) for left in content}


def test_a_reordered_disk_keeps_any_sectors_and_names_that_were_not_synchronised() -> None:
    disk = played(MADE, Write(3, 0, bytes([1]) * 1024), RENAMED)
    left = [disk.left("reordered", np.random.default_rng(seed)) for seed in range(2000)]
    found = {(tree.get("folder/old"), tree.get("folder/new")) for tree in left}
    one, none = bytes([1]) * 512, bytes(512)
    torn = {b"", one, one + one, one + none, none + one, none + none}
    assert {old for old, _ in found} == {b"old", *torn}
    assert {new for _, new in found} == {None, *torn}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_recording_accounts_for_every_byte(
    logs: dict[str, tuple[Task, Log]], name: str
) -> None:
    task, log = logs[name]
    disk = Disk(log.initial)
    for operation in log.operations:
        disk.play(operation)
    written = read_tree(task.folder)
    assert disk.left("kill") == {
        path: content for path, content in written.items() if not path.endswith("-shm")
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    logs: dict[str, tuple[Task, Log]], name: str
) -> None:
    task, log = logs[name]
    n_points = N_POINTS if name == "writes" else N_POINTS_OF_OTHERS
    assert first_finding(task, log, n_points) is None


def test_a_power_cut_during_the_start_after_a_power_cut_loses_nothing(
    worker: Worker, logs: dict[str, tuple[Task, Log]]
) -> None:
    task, log = logs["writes"]
    found = cut_again(worker, log, task, points(log, 5), n_points=6)
    assert next(filter(None, found), None) is None


@pytest.mark.parametrize(("name", "path"), NEEDED)
def test_a_write_without_one_of_its_syncs_loses_something(
    logs: dict[str, tuple[Task, Log]], name: str, path: str
) -> None:
    task, log = logs[name]
    mutant = without_syncs(log, lambda synced: re.fullmatch(path, synced) is not None)
    assert len(mutant.operations) < len(log.operations), "there is no such sync"
    assert first_finding(task, mutant)


@pytest.mark.parametrize("mutant", ["fsync", "NORMAL", "OFF"])
def test_code_that_does_not_synchronise_loses_something(
    worker: Worker, tmp_path: Path, mutant: str
) -> None:
    task = Task("writes", tmp_path / "mutant", mutant=mutant)
    assert first_finding(task, record(worker, task))
