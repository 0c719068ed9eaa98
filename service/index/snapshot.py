"""Snapshot of the vector index on disk: replaced atomically, used only if its digest is right."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from service.concurrency.durable import atomic_write
from service.concurrency.locks import file_lock
from service.index.vector_index import EXACT_BELOW, VectorIndex

_LOGGER = logging.getLogger(__name__)
_FORMAT = 5
"""Raised with every change of the files; the index is rebuilt from the catalogue then."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that the vectors of a snapshot depend on, except the clips.

    Attributes:
        library: Identity of the library.
        fingerprint: Fingerprint of the encoder of the embeddings.
        space: Identity of the embedding space of the vectors.
        dim: Length of a vector.
    """

    library: str
    fingerprint: str
    space: str
    dim: int


class Snapshots:
    """The snapshot of one index, in a directory of its own.

    `snapshot.json` names the file of the vectors, so replacing it replaces the snapshot. The digest
    in it covers its own content as well as that file.

    Args:
        directory: Made if it does not exist; its parent exists.
        origin: A snapshot of another origin is not used.
    """

    def __init__(self, directory: Path, origin: Origin) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self._head = directory / "snapshot.json"
        self._lock = directory / "snapshot.lock"
        self._origin = origin

    def load(self, *, newest: int, exact_below: int = EXACT_BELOW) -> VectorIndex | None:
        """Read the snapshot; None, and a line in the log, if there is none that can be used.

        Args:
            newest: Revision of the catalogue; a snapshot of a later one is not of this catalogue.
            exact_below: See `VectorIndex`.
        """
        with file_lock(self._lock):
            if not self._head.exists():
                _LOGGER.info("no index snapshot in %s: building the index", self._directory)
                return None
            try:
                return self._read(newest, exact_below)
            except (OSError, ValueError) as err:
                _LOGGER.warning(
                    "index snapshot in %s is not used, building the index: %s",
                    self._directory,
                    err,
                )
                return None

    def save(self, index: VectorIndex) -> None:
        """Replace the snapshot by one of this index, durably.

        Raises:
            OSError: It cannot be written. The snapshot before stays.
        """
        with file_lock(self._lock):
            target = self._directory / f"{uuid4().hex}.faiss"
            try:
                self._write(index, target)
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            for pattern in ("*.faiss", "*.tmp"):  # the previous snapshot, and files left by a crash
                for other in self._directory.glob(pattern):
                    if other != target:
                        other.unlink()

    def _write(self, index: VectorIndex, target: Path) -> None:
        with atomic_write(target) as file:
            index.write(file)
        about = {"format": _FORMAT, "revision": index.revision, **asdict(self._origin)}
        head = {"about": about, "file": target.name, "sha256": _digest(about, target)}
        with atomic_write(self._head) as file:
            file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2))

    def _read(self, newest: int, exact_below: int) -> VectorIndex:
        head = orjson.loads(self._head.read_bytes())
        match head:
            case {
                "about": {"revision": int(revision)} as about,
                "file": str(name),
                "sha256": digest,
            }:
                pass
            case _:
                raise ValueError(f"{self._head.name} is not the head of a snapshot")
        expected = {"format": _FORMAT, "revision": revision, **asdict(self._origin)}
        if about != expected:
            raise ValueError(f"it belongs to {about}, not to {expected}")
        if not 0 <= revision <= newest:
            raise ValueError(f"it is of revision {revision}, the catalogue is of {newest}")
        path = self._directory / name
        if _digest(about, path) != digest:
            raise ValueError(f"{name} is damaged: its digest differs from the recorded one")
        with path.open("rb") as file:
            return VectorIndex.read(
                file, dim=self._origin.dim, revision=revision, exact_below=exact_below
            )


def _digest(about: dict[str, Any], path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()
