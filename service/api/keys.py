"""API keys: a file of hashed keys that is read again when it changes.

Keys are 256 random bits, so that one round of SHA-256 hides them as well as a slow hash would. A
line of the file is a name, what the key may do, and the hash:

    studio write 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from service.concurrency.durable import sync_directory
from service.errors import KeysError

Scope = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = ("read", "write")
PREFIX = "mnd_"

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) (read|write) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept.

    Attributes:
        name: Whose it is.
        scope: "read" lets everything but changes of the library; "write" lets all.
        sha256: Of the key.
    """

    name: str
    scope: Scope
    sha256: str


def make_key(name: str, scope: Scope) -> tuple[str, Key]:
    """Make a key: the secret, which is not kept anywhere, and what is.

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
    """Read a file of keys; empty lines and those that begin with # do not count.

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
    """Replace a file of keys, whole or not at all, readable by its owner only.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(_line(key) + "\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.absolute().parent)


class KeyRing:
    """The keys that are good now: the file is looked at on every request, read when it changed.

    A file that became unreadable or wrong lets nobody in until it is mended.

    Args:
        path: The file.

    Raises:
        KeysError: It cannot be read, or a line is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._seen = self._state()
        self._keys = read_keys(path)

    def find(self, secret: str) -> Key | None:
        """Return the key that a secret belongs to; the time it takes tells nothing about it."""
        digest = _hash(secret)
        found = None
        for key in self._current():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _current(self) -> tuple[Key, ...]:
        with self._lock:
            state = self._state()
            if state != self._seen:
                self._keys = ()
                self._keys = read_keys(self._path)
                self._seen = state
            return self._keys

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
