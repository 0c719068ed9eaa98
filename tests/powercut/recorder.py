"""Recording of what a process does to the files of one folder, from its system calls.

The recorder keeps the names of the folder as the process sees them. What is written is read back
from the file while the process is stopped. A call that it does not know how to record is an error,
never left out. Files that end in -shm are left out: SQLite makes them anew.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from powercut.calls import FILES, SYNCS, WRITES, file_of, paths_of
from powercut.operations import (
    ROOT,
    Binding,
    Log,
    Mark,
    Names,
    Operation,
    Resize,
    Sync,
    Write,
    read_tree,
)
from powercut.tracing import LOOK, PASS, Call

MARKS = 1
"""The descriptor to which the process says, in single calls, what it has done."""

_EXCHANGE = 2


class Recorder:
    """Records one process.

    Args:
        folder: The folder; what is in it now counts as being on the disk.

    Attributes:
        log: What was recorded so far.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve()
        self.log = Log(read_tree(self._root))
        self._folders: dict[int, dict[str, int]] = {ROOT: {}}
        self._by_inode: dict[tuple[int, int], int] = {}
        self._n_nodes = 0
        self._remember(self._root.stat(), ROOT)
        for name, content in self.log.initial.items():
            parent, last = self._resolve(self._root / name)
            node = self._new_node((self._root / name).stat(), is_folder=content is None)
            self._folders[parent][last] = node

    def on_entry(self, call: Call) -> int:
        """Decide whether the result of a call matters."""
        if call.name == "write" and call.arguments[0] == MARKS:
            self._check_mapped(call)
            text = call.memory(call.arguments[1], call.arguments[2]).decode()
            self.log.operations.extend(Mark(line) for line in text.splitlines())
            return PASS
        return LOOK

    def on_exit(self, call: Call, result: int) -> None:
        """Record a call that succeeded and concerns the folder."""
        if result < 0:
            return
        if call.name in ("open", "openat", "creat"):
            self._opened(call, result)
        elif call.name not in FILES:
            self._renamed(call)
        elif (node := self._node(call, file_of(call))) is not None:
            self._changed(call, node, result)

    def _changed(self, call: Call, node: int, result: int) -> None:
        """Record a call that changes or synchronises a file."""
        if call.name in WRITES:
            self._written(call, node, result)
        elif call.name in SYNCS:
            self._add(Sync(node, self._path(node)))
        elif call.name == "ftruncate" or (call.name == "fallocate" and call.arguments[1] == 0):
            size = Path(f"/proc/{call.pid}/fd/{file_of(call)}").stat().st_size
            self._add(Resize(node, size))
        else:
            self._refuse(call)

    def _written(self, call: Call, node: int, n_bytes: int) -> None:
        descriptor = file_of(call)
        if call.name.startswith("pwrite"):
            offset = call.arguments[3]
        elif call.name == "copy_file_range" and call.arguments[3]:
            (end,) = struct.unpack("<Q", call.memory(call.arguments[3], 8))
            offset = end - n_bytes
        else:
            about = Path(f"/proc/{call.pid}/fdinfo/{descriptor}").read_text()
            offset = int(about.split()[1]) - n_bytes
        with Path(f"/proc/{call.pid}/fd/{descriptor}").open("rb") as file:
            file.seek(offset)
            self._add(Write(node, offset, file.read(n_bytes)))

    def _opened(self, call: Call, descriptor: int) -> None:
        flags = {
            "open": call.arguments[1],
            "creat": os.O_CREAT | os.O_TRUNC | os.O_WRONLY,
            "openat": call.arguments[2],
        }[call.name]
        place = self._place(paths_of(call)[0])
        if place is None:
            # A file elsewhere, perhaps with the number of a removed one.
            key = self._key(call, descriptor)
            if key is not None and self._by_inode.get(key) != ROOT:
                self._by_inode.pop(key, None)
            return
        folder, name = place
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            self._refuse(call)
        known = self._folders[folder].get(name)
        if known is None and flags & os.O_CREAT:
            node = self._new_node(Path(f"/proc/{call.pid}/fd/{descriptor}").stat())
            self._bind(Names((Binding(folder, name, node),), made=node))
        elif known is not None and flags & os.O_TRUNC:
            self._add(Resize(known, 0))

    def _renamed(self, call: Call) -> None:
        """Record a call that changes names, and refuse what is left."""
        paths = paths_of(call)
        places = [place for path in paths if (place := self._place(path))]
        if not places:
            return
        is_exchange = call.name == "renameat2" and call.arguments[4] & _EXCHANGE
        if len(places) < len(paths) or is_exchange:
            self._refuse(call)
        if call.name in ("mkdir", "mkdirat"):
            status = (self._root / self._path(places[0][0]) / places[0][1]).stat()
            node = self._new_node(status, is_folder=True)
            self._bind(Names((Binding(*places[0], node),), made=node, is_folder=True))
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._bind(Names((Binding(*places[0], None),)))
        elif call.name.startswith(("rename", "link")):
            (folder, name), target = places
            removed = (Binding(folder, name, None),) if call.name.startswith("rename") else ()
            self._bind(Names((*removed, Binding(*target, self._folders[folder][name]))))
        else:
            self._refuse(call)

    def _bind(self, names: Names) -> None:
        for binding in names.bindings:
            if binding.node is None:
                self._folders[binding.folder].pop(binding.name, None)
            else:
                self._folders[binding.folder][binding.name] = binding.node
        self._add(names)

    def _add(self, operation: Operation) -> None:
        self.log.operations.append(operation)

    def _node(self, call: Call, descriptor: int) -> int | None:
        """Return the number of an open file; None if it is not of the folder."""
        key = self._key(call, descriptor)
        return None if key is None else self._by_inode.get(key)

    @staticmethod
    def _key(call: Call, descriptor: int) -> tuple[int, int] | None:
        try:
            status = Path(f"/proc/{call.pid}/fd/{descriptor}").stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _place(self, path: Path) -> tuple[int, str] | None:
        """Return the folder and the name that a path leads to; None if it leads elsewhere."""
        if self._root not in path.parents or path.name.endswith("-shm"):
            return None
        return self._resolve(path)

    def _resolve(self, path: Path) -> tuple[int, str]:
        *folders, last = path.relative_to(self._root).parts
        node = ROOT
        for name in folders:
            node = self._folders[node][name]
        return node, last

    def _path(self, node: int) -> str:
        """Return a path of a file or folder, relative to the root."""
        found: dict[int, str] = {ROOT: ""}
        waiting = [ROOT]
        for folder in waiting:
            for name, child in self._folders[folder].items():
                found[child] = f"{found[folder]}/{name}".lstrip("/")
                if child in self._folders:
                    waiting.append(child)
        return found.get(node, "")

    def _new_node(self, status: os.stat_result, *, is_folder: bool = False) -> int:
        self._n_nodes += 1
        self._remember(status, self._n_nodes)
        if is_folder:
            self._folders[self._n_nodes] = {}
        return self._n_nodes

    def _remember(self, status: os.stat_result, node: int) -> None:
        self._by_inode[status.st_dev, status.st_ino] = node

    def _check_mapped(self, call: Call) -> None:
        """Refuse a process that writes to a file through its memory, which is not recorded."""
        for line in Path(f"/proc/{call.pid}/maps").read_text().splitlines():
            access, path = line.split(maxsplit=1)[1][:4], line.partition("/")[2]
            is_written = access.startswith("rws") and self._root in Path(f"/{path}").parents
            if is_written and not path.endswith("-shm"):
                raise RuntimeError(f"writes to /{path} through memory cannot be recorded")

    @staticmethod
    def _refuse(call: Call) -> None:
        raise RuntimeError(f"the recorder does not know how to record {call.name}")
