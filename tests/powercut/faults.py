"""Calls that fail: the n-th one of a kind, or all that change files for a while, and then no more.

While calls fail, a write may fail; it then took effect or not. Afterwards every write succeeds in
the same process, and no write that was acknowledged is lost.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from powercut import tracing
from powercut.calls import FILES, PATHS, SYNCS, WRITES, open_path, paths_of
from powercut.contents import Step, make_plan, possible_states, problems
from powercut.power_cuts import scratch_folder
from powercut.recording import Task, Worker, outcomes_of
from powercut.tracing import PASS, Call
from powercut.workloads import WORKLOADS

KINDS: dict[str, tuple[str, ...]] = {
    "fsync": SYNCS,
    "write": WRITES,
    "rename": ("rename", "renameat", "renameat2", "link", "linkat"),
    "open": ("open", "openat", "openat2", "creat"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "truncate": ("ftruncate", "truncate", "fallocate"),
    "mkdir": ("mkdir", "mkdirat"),
}
ERRORS: dict[str, tuple[int, ...]] = {
    "fsync": (errno.EIO, errno.ENOSPC),
    "write": (errno.ENOSPC, errno.EIO),
    "rename": (errno.EIO, errno.EROFS, errno.ENOSPC),
    "open": (errno.EMFILE, errno.EIO, errno.ENOSPC, errno.EROFS),
    "unlink": (errno.EROFS, errno.EIO),
    "truncate": (errno.ENOSPC, errno.EIO),
    "mkdir": (errno.ENOSPC, errno.EROFS),
}
LASTING = (errno.EROFS, errno.ENOSPC)
"""Errors of a disk that is read-only or full for a while."""
OTHERS = ("backup", "restore", "keys", "manifest", "folder")
"""Further workloads whose steps are tried while calls fail."""
N_WRITES = 12
_WRITTEN = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_GROWING = ("write", "open", "rename", "truncate", "mkdir")


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails.

    Attributes:
        kind: Kind of the call, see `KINDS`.
        error: Number of the error.
        number: Which call of the kind fails, from 1.
        n_steps: Steps that it lasts: 0 fails one call only; 1 fails every call that such a disk
            refuses until the end of the step, and so on.
    """

    kind: str
    error: int
    number: int
    n_steps: int = 0

    def __str__(self) -> str:
        name = errno.errorcode[self.error]
        lasting = f", lasting {self.n_steps} steps" if self.n_steps else ""
        return f"{name} of {self.kind} {self.number}{lasting}"


@dataclass(frozen=True, slots=True)
class Tried:
    """Result of one fault.

    Attributes:
        fault: The fault.
        has_struck: Whether a call failed; False if the process makes fewer such calls.
        problems: What is wrong.
    """

    fault: Fault
    has_struck: bool
    problems: tuple[str, ...]


@dataclass(slots=True)
class Injector:
    """Makes calls on files below a folder fail.

    Attributes:
        folder: The folder.
        fault: What fails.
        marks: What the process has said.
        struck: The steps during which a call failed.
    """

    folder: Path
    fault: Fault
    marks: list[str] = field(default_factory=list)
    struck: set[int] = field(default_factory=set)
    _n_calls: int = 0
    _step: int = -1

    def on_entry(self, call: Call) -> int:
        """Decide whether a call fails."""
        if call.name == "write" and call.arguments[0] == 1:
            lines = call.memory(call.arguments[1], call.arguments[2]).decode().splitlines()
            self.marks += lines
            self._step += sum(line.startswith("begin ") for line in lines)
            return PASS
        if not self._is_failing(call):
            return PASS
        self.struck.add(self._step)
        return self.fault.error

    def _is_failing(self, call: Call) -> bool:
        fault = self.fault
        is_struck = bool(self.struck)
        if is_struck and self._step >= min(self.struck) + fault.n_steps:
            return False
        if is_struck:
            return self._is_refused(call) and self._is_inside(call)
        if call.name in KINDS[fault.kind] and self._is_inside(call):
            if fault.error == errno.EROFS and not self._is_refused(call):
                return False
            self._n_calls += 1
            return self._n_calls == fault.number
        return False

    def _is_refused(self, call: Call) -> bool:
        """Return whether a disk with this error refuses a call."""
        (kind,) = [kind for kind, names in KINDS.items() if call.name in names] or [""]
        if kind == "open" and call.name == "openat":
            flags = call.arguments[2]
            wanted = os.O_CREAT if self.fault.error == errno.ENOSPC else _WRITTEN
            return bool(flags & wanted)
        if self.fault.error == errno.ENOSPC:
            return kind in _GROWING
        return kind not in ("", "fsync")

    def _is_inside(self, call: Call) -> bool:
        if call.name in FILES:
            paths = [open_path(call)]
        else:
            paths = paths_of(call) if call.name in PATHS else []
        return any(self.folder in path.parents for path in paths)


def inject(worker: Worker, task: Task, fault: Fault) -> tuple[bool, list[str]]:
    """Run a task with a fault.

    Returns:
        Whether any call failed, and what is wrong: a write failed or was lost that should not.
    """
    task.prepare()
    injector = Injector(task.folder.resolve(), fault)
    code = tracing.follow(worker.start(task), injector.on_entry, lambda call, result: None)
    for _ in injector.marks:
        worker.line()
    wrong = [] if code == 0 else [f"the process ended with code {code}: {injector.marks[-3:]}"]
    wrong += [mark for mark in injector.marks if mark.startswith("wrong")]
    if task.workload == "writes":
        plan = make_plan(task.seed, task.n_steps)
        wrong += [*_needless(injector, plan), *_lost(task, plan, injector.marks)]
    else:
        outcomes = outcomes_of(injector.marks)
        check = WORKLOADS[task.workload].check
        wrong += [*_needless(injector), *check(task.folder, task.seed, task.n_steps, outcomes)]
    return bool(injector.struck), wrong


def _needless(injector: Injector, plan: Sequence[Step] = ()) -> Iterator[str]:
    """Yield the steps that failed although no call did.

    A deletion is excused if the clip is unknown because a write of the plan failed before.
    """
    unknown: set[str] = set()
    for mark in injector.marks:
        word, _, rest = mark.partition(" ")
        if word != "failed":
            continue
        number = int(rest.split()[0])
        names = set(plan[number].clips) if plan else set()
        is_excused = "ClipUnknownError" in rest and unknown >= names
        unknown |= names
        if number not in injector.struck and not is_excused:
            yield f"step {number} after the fault: {rest}"


def _lost(task: Task, plan: list[Step], marks: list[str]) -> list[str]:
    """Compare what the process saw, and what is there after it, with what may be there."""
    wrong = []
    possible = possible_states(plan, [])
    n_seen = 0
    for number, mark in enumerate(marks):
        if not mark.startswith("state "):
            continue
        outcomes = outcomes_of(marks[:number])
        possible = possible_states(plan[n_seen:], outcomes[n_seen:], possible, first=n_seen)
        n_seen = len(outcomes)
        seen = {name: (seed, step) for name, (seed, step) in json.loads(mark[6:]).items()}
        if seen not in possible:
            wrong.append(f"the process saw {seen}, not one of {possible}")
        possible = [seen]
    outcomes = outcomes_of(marks)
    possible = possible_states(plan[n_seen:], outcomes[n_seen:], possible, first=n_seen)
    return wrong + problems(task.folder / "library", possible)


def sweep(
    worker: Worker, faults: Iterable[Fault], *, workload: str = "writes", seed: int = 0
) -> Iterator[Tried]:
    """Run a workload with one fault after the other.

    Args:
        worker: The worker.
        faults: The faults. One that strikes nothing ends those of its kind and error.
        workload: The workload; one of `WORKLOADS`.
        seed: Its seed.
    """
    beyond: set[tuple[str, int, int]] = set()
    for fault in faults:
        if (fault.kind, fault.error, fault.n_steps) in beyond:
            continue
        with scratch_folder() as folder:
            task = Task(workload, folder / "task", seed=seed, n_steps=N_WRITES)
            has_struck, wrong = inject(worker, task, fault)
        if not has_struck:
            beyond.add((fault.kind, fault.error, fault.n_steps))
        yield Tried(fault, has_struck, tuple(wrong))
