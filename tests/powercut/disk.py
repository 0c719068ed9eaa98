"""A disk that forgets what was not synchronised: the states after a power cut.

Four models of what is left after the first n operations of a log:

    kill       everything: only the process ended
    ordered    operations in their order up to some point that is not before the last sync
    strict     of a file the bytes at its last sync, of a folder the names at its last sync (POSIX)
    reordered  of what was not synchronised, any part: each sector of 512 bytes or 4 KiB for itself,
               and names in or out
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from powercut.operations import ROOT, Binding, Log, Names, Operation, Resize, Sync, Tree, Write

Model = Literal["kill", "ordered", "strict", "reordered"]
MODELS: tuple[Model, ...] = ("kill", "ordered", "strict", "reordered")
SECTORS_BYTES = (512, 4096)

_Content = Callable[["_File"], bytes]


@dataclass(slots=True)
class _File:
    """A file: the bytes that are on the disk, and the changes since."""

    synced: bytes = b""
    changes: list[Write | Resize] = field(default_factory=list)

    def content(self) -> bytes:
        content = bytearray(self.synced)
        for change in self.changes:
            _apply(content, change)
        return bytes(content)

    def torn(self, rng: np.random.Generator) -> bytes:
        """Return the content with any of the changes: sectors, ends and new sizes in or out."""
        content = bytearray(self.synced)
        sector, share = int(rng.choice(SECTORS_BYTES)), rng.random()
        for change in self.changes:
            parts = [change] if isinstance(change, Resize) else _sectors(change, sector)
            for part in parts:
                if rng.random() < share:
                    _apply(content, part)
            # The size may be that of the whole write although not all of its bytes are there.
            if isinstance(change, Write) and rng.random() < share:
                end = change.offset + len(change.content)
                content.extend(bytes(max(0, end - len(content))))
        return bytes(content)


class Disk:
    """Plays a log and says what would be left.

    Args:
        initial: Content of the folder before; all of it is on the disk.
    """

    def __init__(self, initial: Tree) -> None:
        self._initial = initial
        self._files: dict[int, _File] = {}
        self._synced: dict[int, dict[str, int]] = {ROOT: {}}
        self._pending: list[list[Binding]] = []
        self._played: list[Operation] = []
        self._last_sync = 0
        numbers = {"": ROOT}
        for node, (name, content) in enumerate(initial.items(), start=1):
            numbers[name] = node
            parent, _, last = name.rpartition("/")
            self._make(node, is_folder=content is None)
            self._synced[numbers[parent]][last] = node
            if content is not None:
                self._files[node].synced = content

    def play(self, operation: Operation) -> None:
        """Do the next operation."""
        self._played.append(operation)
        match operation:
            case Names(bindings, made, is_folder):
                if made is not None:
                    self._make(made, is_folder=is_folder)
                self._pending.append(list(bindings))
            case Write(node) | Resize(node):
                self._files[node].changes.append(operation)
            case Sync(node):
                self._last_sync = len(self._played)
                self._sync(node)

    def left(self, model: Model, rng: np.random.Generator | None = None) -> Tree:
        """Return what a power cut now would leave; `rng` draws where the model leaves a choice."""
        rng = rng or np.random.default_rng()
        match model:
            case "kill":
                return self._tree(self._names([True] * len(self._pending)), _File.content)
            case "ordered":
                return self._earlier(int(rng.integers(self._last_sync, len(self._played) + 1)))
            case "strict":
                return self._tree(self._synced, lambda file: file.synced)
            case "reordered":
                chosen = (rng.random(len(self._pending)) < rng.random()).tolist()
                return self._tree(self._names(chosen), lambda file: file.torn(rng))

    def _make(self, node: int, *, is_folder: bool) -> None:
        if is_folder:
            self._synced[node] = {}
        else:
            self._files[node] = _File()

    def _sync(self, node: int) -> None:
        if (file := self._files.get(node)) is not None:
            file.synced, file.changes = file.content(), []
            return
        for bindings in self._pending:
            for binding in bindings:
                if binding.folder == node:
                    _bind(self._synced, binding)
            bindings[:] = [binding for binding in bindings if binding.folder != node]
        self._pending = [bindings for bindings in self._pending if bindings]

    def _earlier(self, n_operations: int) -> Tree:
        disk = Disk(self._initial)
        for operation in self._played[:n_operations]:
            disk.play(operation)
        return disk.left("kill")

    def _names(self, chosen: Sequence[bool]) -> dict[int, dict[str, int]]:
        """Return the names of all folders with the chosen changes of those not synchronised."""
        names = {folder: dict(entries) for folder, entries in self._synced.items()}
        for bindings, is_in in zip(self._pending, chosen, strict=True):
            for binding in bindings if is_in else ():
                _bind(names, binding)
        return names

    def _tree(self, names: dict[int, dict[str, int]], content: _Content) -> Tree:
        tree: Tree = {}

        def add(folder: int, prefix: str) -> None:
            for name, node in names[folder].items():
                if node in self._files:
                    tree[prefix + name] = content(self._files[node])
                else:
                    tree[prefix + name] = None
                    add(node, f"{prefix}{name}/")

        add(ROOT, "")
        return tree


def without_syncs(log: Log, is_left_out: Callable[[str], bool]) -> Log:
    """Return a recording of a program that would not synchronise some files and folders.

    Args:
        log: The recording.
        is_left_out: Decides on the path of each sync.
    """
    operations = [
        operation
        for operation in log.operations
        if not (isinstance(operation, Sync) and is_left_out(operation.path))
    ]
    return Log(log.initial, operations)


def _bind(names: dict[int, dict[str, int]], binding: Binding) -> None:
    if binding.node is None:
        names[binding.folder].pop(binding.name, None)
    else:
        names[binding.folder][binding.name] = binding.node


def _sectors(write: Write, size_bytes: int) -> list[Write]:
    """Return the parts of a write that lie in one sector each."""
    end = write.offset + len(write.content)
    edges = [
        write.offset,
        *range(-(-(write.offset + 1) // size_bytes) * size_bytes, end, size_bytes),
    ]
    return [
        Write(write.node, start, write.content[start - write.offset : stop - write.offset])
        for start, stop in zip(edges, [*edges[1:], end], strict=True)
    ]


def _apply(content: bytearray, change: Write | Resize) -> None:
    if isinstance(change, Resize):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    end = change.offset + len(change.content)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.content
