"""Runs workloads in a traced process: recorded, or with calls that fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from powercut import tracing
from powercut.operations import Log, Mark, Tree, write_tree
from powercut.recorder import Recorder
from powercut.workload import Outcome
from powercut.workloads import WORKLOADS


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a workload.

    Attributes:
        workload: Its name.
        folder: The folder that it writes to.
        seed: Seed of its choices.
        n_steps: About how many steps it has.
        mutant: See `powercut.worker.leave_out_syncs`.
    """

    workload: str
    folder: Path
    seed: int = 0
    n_steps: int = 20
    mutant: str | None = None

    def prepare(self) -> None:
        """Make the folder and what is in it before."""
        self.folder.mkdir(parents=True)
        WORKLOADS[self.workload].prepare(self.folder, self.seed)


class Worker:
    """The process that forks one process for each task."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def start(self, task: Task) -> int:
        """Start a task in a process of its own, attach to it, and return its id."""
        fields = {name: getattr(task, name) for name in ("workload", "seed", "n_steps", "mutant")}
        self._send(json.dumps(fields | {"folder": str(task.folder)}))
        pid = int(self.line().removeprefix("pid "))
        tracing.attach(pid)
        self._send("go")
        return pid

    def line(self) -> str:
        """Return the next line that the processes say."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        if not line:
            raise RuntimeError("the worker has ended; its standard error says why")
        return line.rstrip("\n")

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


@contextmanager
def running() -> Iterator[Worker]:
    """Context manager: a worker."""
    # A process that forks must not have threads of its own.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-m", "powercut.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **threads, "PYTHONPATH": path},
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def record(worker: Worker, task: Task, *, initial: Tree | None = None) -> Log:
    """Prepare a task, run it and return what it did.

    Args:
        worker: The worker.
        task: The task.
        initial: What is in the folder before, if it is not to be prepared.

    Raises:
        RuntimeError: It did something that cannot be recorded, or a step failed.
    """
    if initial is None:
        task.prepare()
    else:
        write_tree(initial, task.folder)
    recorder = Recorder(task.folder)
    code = tracing.follow(worker.start(task), recorder.on_entry, recorder.on_exit)
    marks = [entry.text for entry in recorder.log.operations if isinstance(entry, Mark)]
    for _ in marks:
        worker.line()
    if code or any(mark.startswith(("failed", "wrong")) for mark in marks):
        raise RuntimeError(f"{task.workload} ended with code {code} after {marks[-3:]}")
    return recorder.log


def outcomes_of(marks: list[str]) -> list[Outcome]:
    """Return how far the steps have come, from what the process said."""
    outcomes: list[Outcome] = []
    for word in (mark.split()[0] for mark in marks):
        if word == "begin":
            outcomes.append("begun")
        elif word in ("done", "failed"):
            outcomes[-1] = "done" if word == "done" else "failed"
    return outcomes
