"""Keeps embeddings by the content of their files: identical bytes are decoded and encoded once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import BinaryIO

from service.inference.file_embedding import Embedded, Key


class EmbeddingCache:
    """What was embedded last, up to a size; safe to use from several threads.

    Args:
        max_bytes: Its size; 0 keeps nothing [bytes].
        on_lookup: Called after each lookup with whether there was something.

    Attributes:
        keeps: Whether anything is kept at all.
        size_bytes: What is kept now [bytes].
    """

    def __init__(
        self, max_bytes: int, *, on_lookup: Callable[[bool], object] = lambda _: None
    ) -> None:
        self._max_bytes = max_bytes
        self.keeps = max_bytes > 0
        self._on_lookup = on_lookup
        self._entries: OrderedDict[Key, Embedded] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def get(self, key: Key) -> Embedded | None:
        """Return what was put under a key, None if it is not there any more."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        self._on_lookup(entry is not None)
        return entry

    def put(self, key: Key, entry: Embedded) -> None:
        """Keep an entry, and let the ones go that were not asked for for longest."""
        if entry.size_bytes > self._max_bytes:
            return
        with self._lock:
            if (old := self._entries.pop(key, None)) is not None:
                self.size_bytes -= old.size_bytes
            self._entries[key] = entry
            self.size_bytes += entry.size_bytes
            while self.size_bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self.size_bytes -= oldest.size_bytes


def content_digest(content: BinaryIO) -> str:
    """Return the SHA-256 of a file from its start, 64 hexadecimal digits."""
    content.seek(0)
    # Files have the `readinto` that is asked for; their type does not tell.
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
