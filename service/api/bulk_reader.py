"""Reader of precomputed embeddings in lines of JSON (NDJSON)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import orjson

from service.api.forms import validate
from service.api.request_models import BulkLine
from service.clips import NewClip
from service.concurrency.deadline import check_deadline
from service.difference import check_dim
from service.errors import FingerprintMismatchError, RequestInvalidError

MAX_LINE_BYTES = 1024 * 1024
MAX_FAULTS = 20
"""Faulty lines after which reading stops; they are reported together."""


class BulkReader:
    """Reads uploads of `{"id", "embedding", "fingerprint", "metadata"}` lines.

    Args:
        dim: Values of an embedding.
        fingerprint: Fingerprint of the encoder that must have made them.
        max_lines: Most lines, with or without a clip.
    """

    def __init__(self, *, dim: int, fingerprint: str, max_lines: int) -> None:
        self._dim = dim
        self._fingerprint = fingerprint
        self._max_lines = max_lines

    def read(self, file: BinaryIO) -> list[NewClip]:
        """Return the clips of all lines; blank lines count as lines and hold no clip.

        Raises:
            ClientDisconnectedError: The client of the request has disconnected.
            DeadlineError: The deadline of the request has passed.
            FingerprintMismatchError: A line's embedding was made by another encoder.
            RequestInvalidError: Lines are faulty, and the error has their numbers; or there are no
                lines, or too many.
        """
        clips: dict[str, NewClip] = {}
        faults: list[str] = []
        for number, line in self._lines(file):
            try:
                clip = self._clip(line, number)
                if clip.id in clips:
                    raise RequestInvalidError(f"the id {clip.id!r} is given more than once")
                clips[clip.id] = clip
            except RequestInvalidError as error:
                faults.append(f"line {number}: {error.detail}")
            if len(faults) == MAX_FAULTS:
                break
        if faults:
            raise RequestInvalidError("; ".join(["nothing was stored", *faults]))
        if not clips:
            raise RequestInvalidError("the upload has no clips")
        return list(clips.values())

    def _lines(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank, with their numbers, until the deadline passes."""
        for number, line in _numbered_lines(file):
            check_deadline()
            if number > self._max_lines:
                raise RequestInvalidError(
                    f"an upload has at most {self._max_lines} lines, blank ones included"
                )
            if line.strip():
                yield number, line

    def _clip(self, line: bytes, number: int) -> NewClip:
        if len(line) > MAX_LINE_BYTES:
            raise RequestInvalidError(f"a line has at most {MAX_LINE_BYTES} bytes")
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RequestInvalidError(f"the line is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise RequestInvalidError("a line must be a JSON object")
        fields = validate(BulkLine, list(document.items()))
        if fields.fingerprint != self._fingerprint:
            raise FingerprintMismatchError(
                f"line {number}: the embedding is of encoder {fields.fingerprint[:64]!r},"
                f" served here is {self._fingerprint!r}; nothing was stored"
            )
        embedding = check_dim(fields.embedding, self._dim)
        return NewClip(id=fields.id, embedding=embedding, metadata=fields.metadata)


def _numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, from 1; lines that are too long are cut."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        yield number, line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
