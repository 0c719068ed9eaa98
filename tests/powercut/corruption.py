"""The corruption matrix: damaged files of libraries, backups and bundles, and what becomes of them.

A verdict is one of

    right      everything that is served is as it was written
    refused    the start, or the restore, ends with one line that says why
    reported   some part is refused, or `minuend verify` names it; the rest is right
    wrong      something is served that is not right, is missing without a word, or was deleted, or
               an error escapes that is not one of the service's own
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tiny_bundle
from powercut.contents import State, Step, listed, possible_states, take, wrong_clips
from powercut.damage import KINDS, Kind, damage
from powercut.operations import Tree, read_tree, write_tree
from powercut.power_cuts import scratch_folder
from powercut.workloads import restore
from tiny_library import open_library

from service.bundle.files import load_bundle
from service.errors import ServiceError, StartupError
from service.library.backup import back_up
from service.library.library import Library

Verdict = Literal["right", "refused", "reported", "wrong"]
Target = Literal["catalogue", "log", "snapshot", "audio", "backup", "bundle"]
TARGETS: tuple[Target, ...] = ("catalogue", "log", "snapshot", "audio", "backup", "bundle")
NOT_TRIED: dict[Target, tuple[Kind, ...]] = {
    # A log that ends early is what a power cut leaves of a write; nothing tells the two apart.
    "log": ("cut", "remove", "exchange"),
    "backup": ("remove", "exchange"),
}
BACKED_UP: tuple[Target, ...] = ("catalogue", "log", "audio")
BACKUP_EVERY = 5
"""One in so many damaged libraries is backed up instead of started."""
MOST_STEPS = 10_000
"""Steps after which a check of so few clips counts as endless."""
N_LAST = 2
"""Writes at the end of a log that may look like such a one if they are damaged."""

_PLAN = [
    Step("put", {f"clip{seed}": seed for seed in range(8)}),
    Step("put", {"other3": 3, "clip1": 6}),
    Step("delete", {"clip5": None}),
    Step("save", {}),
    *[Step("put", {f"late{seed}": seed}) for seed in range(6)],
]


@dataclass(frozen=True, slots=True)
class Damaged:
    """One cell of the matrix.

    Attributes:
        target: What was damaged.
        file: The file.
        kind: The kind of damage.
        seed: Draws its place.
        is_backed_up: Whether the damaged library was backed up, and what the backup holds was
            judged, instead of a start.
        verdict: What became of it.
        problems: What is wrong, or the line of the refusal.
    """

    target: Target
    file: str
    kind: Kind
    seed: int
    is_backed_up: bool
    verdict: Verdict
    problems: tuple[str, ...]


class Matrix:
    """Intact files, to be damaged.

    Args:
        folder: An empty folder for the making of them.
    """

    def __init__(self, folder: Path) -> None:
        library = folder / "library"
        opened = open_library(library)
        for number, step in enumerate(_PLAN):
            take(opened, step, number)
        self._records = {record.id: record for record in opened.page(limit=1000)[0]}
        # As a process leaves it that was killed: the newest writes stand in the log only.
        killed = {name: it for name, it in read_tree(library).items() if not name.endswith("-shm")}
        opened.close()
        closed = {name: it for name, it in read_tree(library).items() if not name.endswith("-shm")}
        back_up(library, folder / "backup.tar")
        older = folder / "older"
        restore(folder / "backup.tar", older)
        with closing(open_library(older)) as other:
            other.writer.delete("clip2")
            self._older_state = listed(other)
        self._older = (older / "catalog.sqlite").read_bytes()
        tiny_bundle.write(folder / "bundle", towers=0)
        self._bundle = load_bundle(folder / "bundle").manifest
        self._states = [
            possible_states(_PLAN[:n], ["done"] * n)[0]
            for n in range(len(_PLAN), len(_PLAN) - N_LAST - 1, -1)
        ]
        backup = {"backup.tar": (folder / "backup.tar").read_bytes()}
        bundle = read_tree(folder / "bundle")
        self._trees: dict[Target, list[Tree]] = {
            "catalogue": [closed, killed],
            "snapshot": [closed, killed],
            "audio": [closed, killed],
            "log": [killed],
            "backup": [backup],
            "bundle": [bundle],
        }

    def intact(self, target: Target) -> list[tuple[Verdict, list[str]]]:
        """Return the verdicts about the files without any damage."""
        return [self._judge(target, tree, self._states[:1]) for tree in self._trees[target]]

    def draw(self, target: Target, seed: int) -> Damaged | None:
        """Damage a file of a target and return what becomes of it; None if nothing changed."""
        rng = np.random.default_rng([TARGETS.index(target), seed])
        tree = self._trees[target][int(rng.integers(len(self._trees[target])))]
        names = sorted(name for name in tree if tree[name] and self._is_of(target, name))
        name = names[int(rng.integers(len(names)))]
        kinds = [kind for kind in KINDS if kind not in NOT_TRIED.get(target, ())]
        kind = kinds[int(rng.integers(len(kinds)))]
        others = {it for other in names if (it := tree[other]) is not None}
        if target == "catalogue":
            others = {self._older}
        damaged = damage(tree, name, kind, rng, others=others)
        if damaged is None:
            return None
        # An older catalogue is a library of its own; the audio of later clips stays in the folder.
        is_older = damaged[name] == self._older if name in damaged else False
        states = self._states[: len(self._states) if target == "log" else 1]
        states = [*states, *([self._older_state] if is_older else [])]
        is_backed_up = target in BACKED_UP and seed % BACKUP_EVERY == 0
        judge = self._judge_backed_up if is_backed_up else self._judge
        verdict, problems = judge(target, damaged, states)
        return Damaged(target, name, kind, seed, is_backed_up, verdict, tuple(problems))

    @staticmethod
    def _is_of(target: Target, name: str) -> bool:
        match target:
            case "catalogue":
                return name == "catalog.sqlite"
            case "log":
                return name == "catalog.sqlite-wal"
            case "snapshot":
                return name.startswith("index/") and not name.endswith(".lock")
            case "audio":
                return name.startswith("audio/")
            case _:
                return True

    def _judge(
        self, target: Target, tree: Tree, states: Sequence[State]
    ) -> tuple[Verdict, list[str]]:
        with scratch_folder() as folder:
            write_tree(tree, folder)
            try:
                if target == "bundle":
                    return self._judge_bundle(folder)
                if target == "backup":
                    restore(folder / "backup.tar", folder / "library")
                    return self._judge_library(folder / "library", states)
                return self._judge_library(folder, states)
            except Exception as error:
                return _verdict_on(error)

    def _judge_backed_up(
        self, target: Target, tree: Tree, states: Sequence[State]
    ) -> tuple[Verdict, list[str]]:
        """Back a damaged library up, and judge the backup."""
        with scratch_folder() as folder, scratch_folder() as other:
            write_tree(tree, folder)
            try:
                back_up(folder, other / "backup.tar")
            except Exception as error:
                return _verdict_on(error)
            return self._judge("backup", read_tree(other), states)

    def _judge_bundle(self, folder: Path) -> tuple[Verdict, list[str]]:
        found = load_bundle(folder).manifest
        return ("right", []) if found == self._bundle else ("wrong", [f"another manifest: {found}"])

    def _judge_library(self, path: Path, states: Sequence[State]) -> tuple[Verdict, list[str]]:
        audio = _contents(path / "audio")
        try:
            with closing(open_library(path, create=False)) as library:
                faults = list(self._faults(library, states))
        finally:
            if lost := audio - _contents(path):
                raise AssertionError(f"{lost.total()} audio files were deleted")
        if not faults:
            return "right", []
        silent = [fault for fault in faults if not fault.startswith("refused")]
        if silent and not _verify_reports(path):
            return "wrong", silent
        return "reported", faults

    def _faults(self, library: Library, states: Sequence[State]) -> Iterator[str]:
        """Yield what is refused and what is not as it was written."""
        try:
            found = listed(library)
        except ServiceError as error:
            yield f"refused: the list of the clips: {error}"
            found = states[0]
        state = found if found in states else states[0]
        if found != state:
            yield f"listed: {sorted(found)} instead of {sorted(state)}"
        for name in state:
            try:
                yield from wrong_clips(library, state, [name])
                if state == self._states[0] and library.catalog.get(name) != self._records[name]:
                    yield f"wrong: the record of {name}"
            except ServiceError as error:
                yield f"refused: {name}: {error}"


def _verdict_on(error: Exception) -> tuple[Verdict, list[str]]:
    if isinstance(error, StartupError) and "\n" not in str(error):
        return "refused", [str(error)]
    return "wrong", [f"crashed: {type(error).__name__}: {error}"]


def _contents(folder: Path) -> Counter[str]:
    """Return the digests of all files below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def _verify_reports(path: Path) -> bool:
    """Return whether `minuend verify` finds damage in a library."""
    from service.library.verify import open_verifier

    try:
        with closing(open_verifier(path)) as verifier:
            for n_steps, _ in enumerate(verifier.run()):
                if n_steps > MOST_STEPS:
                    raise AssertionError("the check for damage does not end")
            return verifier.progress.n_damaged > 0
    except StartupError:
        return True
