"""What a program did to the files of one folder, as a log of operations in their order.

Files and folders are numbered; 0 is the folder itself. A name is an entry of a folder, so that a
file may have several names or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = 0

Tree = dict[str, bytes | None]
"""Content of the files of a folder by relative path; None for a folder."""


@dataclass(frozen=True, slots=True)
class Binding:
    """An entry of a folder is set to a file or folder, or removed if `node` is None."""

    folder: int
    name: str
    node: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """Creation, rename, link or removal: bindings that one call makes together.

    Attributes:
        bindings: The entries that change.
        made: Number of the file or folder that the call made; None if it made none.
        is_folder: Whether that is a folder.
    """

    bindings: tuple[Binding, ...]
    made: int | None = None
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written to a file at an offset."""

    node: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A file is cut or extended with zeros to a size [bytes]."""

    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file or folder is synchronised; `path` is its name at that time."""

    node: int
    path: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The program said something, such as that a write is acknowledged."""

    text: str


Operation = Names | Write | Resize | Sync | Mark


@dataclass(frozen=True, slots=True)
class Log:
    """A recording.

    Attributes:
        initial: Content of the folder before; all of it was on the disk.
        operations: What was done.
    """

    initial: Tree
    operations: list[Operation] = field(default_factory=list)


def read_tree(folder: Path) -> Tree:
    """Read a folder; names that sort first come first, and so folders before their content."""
    paths = sorted(folder.rglob("*"))
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in paths
    }


def write_tree(tree: Tree, folder: Path) -> None:
    """Write the content of a folder."""
    for name, content in tree.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
