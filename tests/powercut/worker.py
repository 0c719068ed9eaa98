"""The program that is recorded: it does the steps of a workload and says which are done.

Run as `python -m powercut.worker`. For every line of input, a JSON object, it forks a process,
which spares that process the imports. The process says "pid N", waits for the line "go", by which
its tracer is attached, and then works. It says "begin N", then "done N" or "failed N", for each
step.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from powercut import tracing
from powercut.workloads import STEPS

from service.errors import ServiceError, StartupError

EXPECTED = (OSError, sqlite3.Error, ServiceError, StartupError)
"""Errors that a write may end with when the disk fails."""


def say(line: str) -> None:
    """Write a line in one call, as the recorder reads it."""
    os.write(1, f"{line}\n".encode())


def work(name: str, folder: Path, seed: int, n_steps: int) -> None:
    """Do the steps of a workload, in the order of its plan, whether they fail or not."""
    for number, step in enumerate(STEPS[name](folder, seed, n_steps)):
        say(f"begin {number}")
        try:
            step()
        except EXPECTED as error:
            say(f"failed {number} {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            say(f"done {number}")


def main() -> None:
    """Serve until the input ends."""
    for line in lines():
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            next(lines())
            tracing.install_filter()
            leave_out_syncs(task["mutant"])
            work(task["workload"], Path(task["folder"]), task["seed"], task["n_steps"])
            os._exit(0)
        os.waitpid(child, 0)


def leave_out_syncs(mutant: str | None) -> None:
    """Make this process a mutant: without `fsync`, or with a level of PRAGMA synchronous."""
    if mutant == "fsync":
        os.fsync = lambda descriptor: None
    elif mutant is not None:
        sqlite3.connect = _connect_with(mutant)


def _connect_with(level: str) -> Callable[..., sqlite3.Connection]:
    """Return a `sqlite3.connect` whose connections have another level of PRAGMA synchronous."""

    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            careless = re.sub(r"(?i)(synchronous\s*=\s*)\w+", rf"\g<1>{level}", sql)
            return super().execute(careless, *parameters)

    return partial(sqlite3.connect, factory=Careless)


def lines() -> Iterator[str]:
    """Yield the lines of the input, and read none ahead."""
    line = b""
    while byte := os.read(0, 1):
        line += byte
        if byte == b"\n":
            yield line.decode()
            line = b""


if __name__ == "__main__":
    main()
