"""API keys: a file of hashed keys that is read again when it changes.

A key has 256 random bits, so one round of SHA-256 protects it as well as a slow hash would. A line
of the file is a name, a scope and the hash:

    studio write 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.concurrency.durable import atomic_write
from service.errors import KeysError

Scope = Literal["read", "write"]
PREFIX = "mnd_"
CHECK_S = 1.0
"""Time between two checks whether the file has changed [s]."""

logger = logging.getLogger(__name__)

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) (read|write) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the file has it.

    Attributes:
        name: Name of its owner.
        scope: "read" allows everything but changes of the library; "write" allows all.
        sha256: Hash of the key.
    """

    name: str
    scope: Scope
    sha256: str


def make_key(name: str, scope: Scope) -> tuple[str, Key]:
    """Make a key.

    Returns:
        The secret, which is not stored anywhere, and the key for the file.

    Raises:
        KeysError: The name is not allowed.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    key = Key(name, scope, _hash(secret))
    if not _LINE.fullmatch(_line(key)):
        raise KeysError(
            f"{name!r:.80} cannot name a key: 1 to 64 letters, digits, '.', '_' and '-' can"
        )
    return secret, key


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a file of keys; empty lines and lines that begin with # are ignored.

    Raises:
        KeysError: The file cannot be read, a line is wrong, or a name is there twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"the keys in {path} cannot be read: {error}") from error
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise KeysError(f"{path}, line {number}: must be a name, read or write, and a SHA-256")
        name, scope, sha256 = match.groups()
        if name in keys:
            raise KeysError(f"{path}, line {number}: there are two keys named {name!r}")
        keys[name] = Key(name, "write" if scope == "write" else "read", sha256)
    return tuple(keys.values())


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """Replace a file of keys at once; only its owner can read it.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_write(path, permissions=0o600) as file:
        file.writelines(f"{_line(key)}\n".encode() for key in keys)


class KeyRing:
    """The valid keys, in memory; the file is read again when it has changed.

    If the file cannot be read or a line is wrong, the last good keys stay valid, and one line is
    logged for each such state of the file.

    Args:
        path: The file.
        clock: Returns the time of a steady clock [s].

    Raises:
        KeysError: The file cannot be read, or a line is wrong.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next_check = clock() + CHECK_S
        self._seen = self._state()
        self._keys = read_keys(path)

    def is_due(self) -> bool:
        """Return whether `refresh` should be called; True once in `CHECK_S`."""
        now = self._clock()
        if now < self._next_check:
            return False
        self._next_check = now + CHECK_S
        return True

    def refresh(self) -> None:
        """Read the file again if it has changed; reads the disk."""
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._keys = read_keys(self._path)
        except KeysError as error:
            logger.error("the last good API keys stay valid: %s", error)

    def find(self, secret: str) -> Key | None:
        """Return the key of a secret, None if it has none; takes the same time for every secret."""
        digest = _hash(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _state(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _line(key: Key) -> str:
    return f"{key.name} {key.scope} {key.sha256}"
