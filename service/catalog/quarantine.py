"""Audio files that no clip names: kept in dated folders until `minuend clean` removes them.

    quarantine/<date>T<time>Z/audio/<2 hex>/<sha256><extension>

The names below a dated folder are those that the files had in the library. Such a file may have
been left by a crash; or the catalogue is older than the file, and the file is the only copy of a
sound. Only a person can tell, so the service itself never removes one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.catalog.stored_names import stored_files
from service.concurrency.durable import move_files, sync_directory

FOLDER = "quarantine"

_FORMAT = "%Y-%m-%dT%H-%M-%SZ"
_DATED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class DatedFolder:
    """The files that were moved into the quarantine at one time.

    Attributes:
        path: The folder.
        moved_at: Time of the move, in UTC.
        number: Number of earlier moves in the same second.
    """

    path: Path
    moved_at: datetime
    number: int

    def files(self) -> Iterator[Path]:
        """Yield the audio files, in a fixed order."""
        for name in sorted(stored_files(self.path)):
            yield self.path / name

    def size(self) -> tuple[int, int]:
        """Return the number of files of any kind, and their size [bytes]."""
        sizes = [path.lstat().st_size for path in self.path.rglob("*") if not path.is_dir()]
        return len(sizes), sum(sizes)

    def remove(self) -> None:
        """Delete the folder and its files."""
        shutil.rmtree(self.path)
        sync_directory(self.path.parent)

    def remove_empty(self) -> None:
        """Delete the folder, or those folders in it, that have no files."""
        for root, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):  # it has files
                Path(root).rmdir()


class Quarantine:
    """The quarantine of one library. The library holds its lock around calls that change it."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self.path = library / FOLDER

    def folders(self) -> list[DatedFolder]:
        """Return the dated folders, the oldest first; other files and folders are ignored."""
        if not self.path.is_dir():
            return []
        found = []
        for path in self.path.iterdir():
            match = _DATED.fullmatch(path.name)
            if match is None or not path.is_dir() or path.is_symlink():
                continue
            with contextlib.suppress(ValueError):  # no date of the calendar
                moved_at = datetime.strptime(match.group(1), _FORMAT).replace(tzinfo=UTC)
                found.append(DatedFolder(path, moved_at, int(match.group(2) or 0)))
        return sorted(found, key=lambda folder: (folder.moved_at, folder.number))

    def take(self, names: Collection[str]) -> Path:
        """Move files of the library into a new dated folder, durably, and return the folder.

        Args:
            names: Names of stored files, relative to the library.

        Raises:
            OSError: A file cannot be moved. It stays where it is.
        """
        self.path.mkdir(exist_ok=True)
        sync_directory(self._library)
        folder = self._make_folder()
        move_files((self._library / name, folder / name) for name in names)
        return folder

    def give_back(self, named: Collection[str]) -> int:
        """Move files that clips name, and that only the quarantine has, to their places, durably.

        Args:
            named: Names of the stored files that clips name.

        Returns:
            Number of files that were moved.
        """
        moves: dict[str, Path] = {}  # the newest file of a name counts
        for folder in self.folders():
            for name in stored_files(folder.path):
                if name in named and not (self._library / name).exists():
                    moves[name] = folder.path / name
        move_files((source, self._library / name) for name, source in moves.items())
        for folder in self.folders() if moves else ():
            folder.remove_empty()
        return len(moves)

    def _make_folder(self) -> Path:
        date = datetime.now(UTC).strftime(_FORMAT)
        number = 0
        while True:
            folder = self.path / (f"{date}-{number}" if number else date)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                sync_directory(self.path)
                return folder
