"""Cache of embeddings by the content of their files: equal bytes are decoded and encoded once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from service.bundle.manifest import EncoderInfo
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing

_Key = tuple[str, str, Windowing | None]
"""Fingerprint of the encoder, SHA-256 of the file, and how it is cut into windows."""


class EmbeddingCache:
    """Least recently used cache of embedded files, for several threads.

    Args:
        max_bytes: Its size; 0 turns it off [bytes].
        on_lookup: Called after each lookup of a file with whether it was found; not if it is off.

    Attributes:
        is_on: Whether it keeps anything.
        size_bytes: Size of its entries [bytes].
    """

    def __init__(
        self, max_bytes: int, *, on_lookup: Callable[[bool], object] = lambda _: None
    ) -> None:
        self._max_bytes = max_bytes
        self.is_on = max_bytes > 0
        self._on_lookup = on_lookup
        self._entries: OrderedDict[_Key, Embedded] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def get(self, info: EncoderInfo, content: str, windowing: Windowing | None) -> Embedded | None:
        """Look up a file; its windows are included if `windowing` cuts it.

        Args:
            info: Encoder of the embedding.
            content: SHA-256 of the file.
            windowing: How it is cut into windows.
        """
        if not self.is_on:
            return None
        with self._lock:
            found = self._read((info.fingerprint, content, None))
            if found and windowing and windowing.cuts(found.n_samples, info):
                found = self._read((info.fingerprint, content, windowing))
        self._on_lookup(found is not None)
        return found

    def put(
        self, info: EncoderInfo, content: str, windowing: Windowing | None, embedded: Embedded
    ) -> None:
        """Add a file with its windows, and without them for lookups that need none."""
        if not self.is_on:
            return
        with self._lock:
            self._write((info.fingerprint, content, None), replace(embedded, windows=None))
            if embedded.windows is not None:
                self._write((info.fingerprint, content, windowing), embedded)

    def _read(self, key: _Key) -> Embedded | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def _write(self, key: _Key, entry: Embedded) -> None:
        """Add an entry, and remove the least recently used ones until all fit."""
        if entry.size_bytes > self._max_bytes:
            return
        if (old := self._entries.pop(key, None)) is not None:
            self.size_bytes -= old.size_bytes
        self._entries[key] = entry
        self.size_bytes += entry.size_bytes
        while self.size_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= oldest.size_bytes


def content_digest(content: BinaryIO) -> str:
    """Return the SHA-256 of a file from its start, as 64 hexadecimal digits."""
    content.seek(0)
    # Files have the `readinto` that is needed, though BinaryIO does not declare it.
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
