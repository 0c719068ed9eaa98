"""Snapshot of the vector index on disk: replaced atomically, used only if its digest is right."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from service.concurrency.durable import atomic_write
from service.concurrency.locks import file_lock
from service.index.vector_index import EXACT_BELOW, VectorIndex

_LOGGER = logging.getLogger(__name__)
_FORMAT = 6
"""Raised with every change of the files; the index is rebuilt from the catalogue then."""

_HEAD, _LOCK = "snapshot.json", "snapshot.lock"


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
        self._head = directory / _HEAD
        self._lock = directory / _LOCK
        self._origin = origin

    def load(
        self, *, is_known: Callable[[int, int], bool], exact_below: int = EXACT_BELOW
    ) -> VectorIndex | None:
        """Read the snapshot; None, and a line in the log, if there is none that can be used.

        Args:
            is_known: Tells whether the catalogue had a revision with a token; a snapshot of another
                one is not of this catalogue.
            exact_below: See `VectorIndex`.
        """
        with file_lock(self._lock):
            if not self._head.exists():
                _LOGGER.info("no index snapshot in %s: building the index", self._directory)
                return None
            try:
                return self._read(is_known, exact_below)
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
        version = {"revision": index.revision, "token": index.token}
        about = {"format": _FORMAT, **version, **asdict(self._origin)}
        head = {"about": about, "file": target.name, "sha256": _digest(about, target)}
        with atomic_write(self._head) as file:
            file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2))

    def _read(self, is_known: Callable[[int, int], bool], exact_below: int) -> VectorIndex:
        about, path = _checked_head(self._head)
        version = {name: about.get(name) for name in ("revision", "token")}
        expected = {"format": _FORMAT, **version, **asdict(self._origin)}
        if about != expected:
            raise ValueError(f"it belongs to {about}, not to {expected}")
        revision, token = version.values()
        if not isinstance(revision, int) or not isinstance(token, int):
            raise ValueError(f"{self._head.name} is not the head of a snapshot")
        if not is_known(revision, token):
            raise ValueError(
                f"it is of revision {revision} of another copy of the catalogue, or of one that is"
                " no longer known"
            )
        with path.open("rb") as file:
            index = VectorIndex.read(
                file, dim=self._origin.dim, revision=revision, exact_below=exact_below
            )
        index.token = token
        return index


def find_fault(directory: Path) -> str | None:
    """Return what is damaged in the snapshot of a directory; None if it is intact or missing."""
    if not directory.is_dir():
        return None
    with file_lock(directory / _LOCK):
        if not (directory / _HEAD).exists():
            return None
        try:
            _checked_head(directory / _HEAD)
        except (OSError, ValueError) as err:
            return str(err)
    return None


def _checked_head(path: Path) -> tuple[dict[str, Any], Path]:
    """Return what the head of a snapshot says, and the file of the vectors.

    Raises:
        ValueError: It is not the head of a snapshot, or the digest differs.
        OSError: A file cannot be read.
    """
    match orjson.loads(path.read_bytes()):
        case {"about": dict(about), "file": str(name), "sha256": digest}:
            pass
        case _:
            raise ValueError(f"{path.name} is not the head of a snapshot")
    vectors = path.with_name(name)
    if about.get("format") == _FORMAT and _digest(about, vectors) != digest:
        raise ValueError(f"{name} is damaged: its digest differs from the recorded one")
    return about, vectors


def _digest(about: dict[str, Any], path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()
