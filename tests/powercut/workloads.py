"""What is recorded: writes of the real code, and what must be there after any of their steps."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from powercut.contents import (
    Outcome,
    State,
    Step,
    listed,
    make_plan,
    possible_states,
    problems,
    take,
    wrong_clips,
)
from powercut.durable_files import FOLDER, KEYS, MANIFEST
from powercut.log_writes import LOG
from powercut.workload import Action, Workload, nothing
from tiny_library import make_embedding, open_library

from service.catalog.vectors import Embeddings
from service.errors import StartupError
from service.library.backup import back_up
from service.library.library import Library
from service.library.restore import restore

OTHER = "cd" * 32
"""Fingerprint of the encoder that embeds a library anew."""
RECOVERY = (Step("open", {}), Step("put", {"recovered": 2}), Step("report", {}), Step("close", {}))
"""What follows a power cut."""
N_BEFORE = 10
"""Writes to a library before a backup or an embedding is recorded."""


class Session:
    """A library that is opened by the first step that needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library: Library | None = None

    def take(self, step: Step, number: int) -> None:
        """Do a step of a plan."""
        if step.kind == "close":
            if (library := self._library) is not None:
                self._library = None
                library.close()
            return
        if self._library is None:
            self._library = open_library(self._folder)
        if step.kind == "report":
            self._report(self._library)
        elif step.kind != "open":
            take(self._library, step, number)

    @staticmethod
    def _report(library: Library) -> None:
        """Say which clips the library has; all of them are as they were put."""
        state = listed(library)
        os.write(1, f"state {json.dumps(state)}\n".encode())
        if wrong := list(wrong_clips(library, state)):
            os.write(1, f"wrong {wrong}\n".encode())


def write_all(folder: Path, plan: Sequence[Step]) -> None:
    """Do a whole plan."""
    session = Session(folder)
    for number, step in enumerate(plan):
        if step.kind != "report":
            session.take(step, number)


def _plan_before(seed: int) -> list[Step]:
    return make_plan(seed + 1000, N_BEFORE)


def _state_before(seed: int) -> State:
    plan = _plan_before(seed)
    (state,) = possible_states(plan, ["done"] * len(plan))
    return state


def _library_before(folder: Path, seed: int) -> None:
    write_all(folder / "library", _plan_before(seed))


def _writes(saves: float) -> Workload:
    def steps(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
        session = Session(folder / "library")
        for number, step in enumerate(make_plan(seed, n_steps, saves=saves)):
            yield lambda step=step, number=number: session.take(step, number)

    def check(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
        plan = make_plan(seed, n_steps, saves=saves)
        possible = possible_states(plan, outcomes)
        return problems(folder / "library", possible, exists=outcomes[:1] == ["done"])

    return Workload(nothing, steps, check)


def _backup_steps(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    library, file = folder / "library", folder / "backup.tar"

    def write() -> None:
        session = Session(library)
        session.take(_BACKUP_PLAN[1], 1)
        session.take(Step("close", {}), 1)

    yield lambda: _drop(back_up(library, file))
    yield write
    yield lambda: _drop(back_up(library, file))


def _check_backup(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    before = [_state_before(seed)]
    states = possible_states(_BACKUP_PLAN, outcomes, before)
    # What the file may hold: the library of the last step that wrote it, or of one under way.
    held: list[State | None] = [None]
    for number, outcome in enumerate(outcomes):
        if number != 1:
            now = possible_states(_BACKUP_PLAN, outcomes[: number + 1], before)
            held = [*([] if outcome == "done" else held), *now]
    wrong = problems(folder / "library", states)
    file = folder / "backup.tar"
    if not file.exists():
        return wrong if None in held else [*wrong, "lost: the backup is gone"]
    try:
        restore(file, folder / "restored")
    except StartupError as error:
        return [*wrong, f"refused: the backup: {error}"]
    return wrong + problems(folder / "restored", [state for state in held if state is not None])


_BACKUP_PLAN = [Step("save", {}), Step("put", {"later": 3}), Step("save", {})]


def _prepare_restore(folder: Path, seed: int) -> None:
    _library_before(folder, seed)
    back_up(folder / "library", folder / "backup.tar")
    shutil.rmtree(folder / "library")


def _restore_steps(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    yield lambda: _drop(restore(folder / "backup.tar", folder / "library"))


def _check_restore(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    possible = [_state_before(seed)]
    library = folder / "library"
    wrong = problems(library, possible)
    if outcomes[:1] == ["done"] or not wrong or not wrong[0].startswith("refused"):
        return wrong
    # A restore that was cut off does not start; it can be run again.
    try:
        restore(folder / "backup.tar", library)
    except StartupError as error:
        return [f"refused: to restore again: {error}"]
    return problems(library, possible)


def _reembed_steps(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    options = {"fingerprint": OTHER, "reembedding": True}
    opened = [open_library(folder / "library", **options)]
    for _ in range(len(_state_before(seed)) // 2 + 1):
        yield lambda: _embed(opened[0], 2)
    yield opened[0].index.save
    yield lambda: _drop(opened[0].reembed_queue.drop_others())
    yield opened[0].close


def _embed(library: Library, n_clips: int) -> None:
    queue = library.reembed_queue
    vectors = []
    for clip in queue.page(0, n_clips, 1e9):
        seed = int(str(library.catalog.get(clip.id).metadata["seed"]))
        vectors.append((clip, Embeddings(make_embedding(seed + 500).astype(np.float16))))
    queue.add(vectors)


def _check_reembed(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    state, path = _state_before(seed), folder / "library"
    n_batches = len(state) // 2 + 1
    wrong = problems(path, [state]) if len(outcomes) < n_batches + 2 else []
    try:
        library = open_library(path, fingerprint=OTHER, reembedding=True, create=False)
    except StartupError as error:
        return [*wrong, f"refused: {error}"]
    n_due = library.reembed_queue.n_due(1e9) - ("afterwards" in listed(library))
    n_done = min(len(state), 2 * outcomes[:n_batches].count("done"))
    if len(state) - n_due < n_done:
        wrong.append(f"lost: {n_due} of {len(state)} clips are due, {n_done} were embedded")
    due = {clip.id for clip in library.reembed_queue.page(0, 1000, 1e9)}
    for name, (value, _) in state.items():
        expected = make_embedding(value + 500)
        if name not in due and not np.array_equal(library.catalog.embedding(name), expected):
            wrong.append(f"wrong: the new embedding of {name}")
    library.close()
    return wrong


def _recover(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    session = Session(folder / "library")
    for number, step in enumerate(RECOVERY):
        yield lambda step=step, number=number: session.take(step, number)


def _drop(result: object) -> None:
    """Accept the result of a call that is used for its effect."""


WORKLOADS = {
    "writes": _writes(0.1),
    "snapshot": _writes(1.0),
    "backup": Workload(_library_before, _backup_steps, _check_backup),
    "restore": Workload(_prepare_restore, _restore_steps, _check_restore),
    "reembed": Workload(_library_before, _reembed_steps, _check_reembed),
    "keys": KEYS,
    "manifest": MANIFEST,
    "folder": FOLDER,
    "log": LOG,
}
"""The workloads, by name."""
STEPS = {name: workload.steps for name, workload in WORKLOADS.items()} | {"recovery": _recover}
"""What the recorded process can do: besides them, what follows a power cut."""
