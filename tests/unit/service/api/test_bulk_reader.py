from __future__ import annotations

import io
from typing import Any

import numpy as np
import orjson
import pytest

from service.api import bulk_reader as bulk
from service.api.bulk_reader import BulkReader
from service.api.vector_encoding import to_base64
from service.clips import NewClip
from service.concurrency.deadline import ClientDisconnectedError, Deadline, working_until
from service.errors import DeadlineError, FingerprintMismatchError, RequestInvalidError

FINGERPRINT = "ab" * 32
VECTOR = np.array([1.0, 2.0, 3.0], np.float32)


def line(clip_id: str = "a", **changes: Any) -> bytes:
    values = {"id": clip_id, "embedding": VECTOR.tolist(), "fingerprint": FINGERPRINT}
    return orjson.dumps({**values, **changes}) + b"\n"


def read(*lines: bytes, max_lines: int = 100) -> list[NewClip]:
    reader = BulkReader(dim=3, fingerprint=FINGERPRINT, max_lines=max_lines)
    return reader.read(io.BytesIO(b"".join(lines)))


def test_lines_become_clips_in_their_order() -> None:
    first, second = read(
        line("a", metadata={"kind": "rain"}), b"\n", line("b", embedding=to_base64(VECTOR))
    )

    assert (first.id, first.metadata, second.id) == ("a", {"kind": "rain"}, "b")
    assert np.array_equal(first.embedding, VECTOR)
    assert np.array_equal(second.embedding, VECTOR)
    assert first.audio is None


def test_the_last_line_needs_no_newline() -> None:
    assert len(read(line("a"), line("b").rstrip())) == 2


def test_faulty_lines_are_reported_together_by_number() -> None:
    faulty = [
        b"{\n",
        b"[]\n",
        line("a/b"),
        line("e", embedding=[1.0]),
        line("f", metadata={"a": {}}),
        line("g", label="rain"),
        line("good"),
        orjson.dumps({"id": "h"}) + b"\n",
    ]

    with pytest.raises(RequestInvalidError, match="nothing was stored") as caught:
        read(line("good"), *faulty)

    faults = caught.value.detail.split("; line ")
    assert [int(text.partition(":")[0]) for text in faults[1:]] == list(range(2, 10))


def test_reading_stops_when_there_are_too_many_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_FAULTS", 2)

    with pytest.raises(RequestInvalidError) as caught:
        read(b"{\n" * 5)

    assert "line 2:" in caught.value.detail
    assert "line 3:" not in caught.value.detail


def test_too_long_a_line_is_reported_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "MAX_LINE_BYTES", 200)

    with pytest.raises(RequestInvalidError) as caught:
        read(line("a", metadata={"note": "x" * 1000}), b"{\n")

    assert "line 1: a line has at most 200 bytes; line 2: " in caught.value.detail


def test_vectors_of_another_encoder_are_refused_naming_both() -> None:
    with pytest.raises(FingerprintMismatchError, match=rf"line 2.*'cd'.*{FINGERPRINT}"):
        read(line("a"), line("b", fingerprint="cd"))


def test_the_number_of_lines_is_bounded() -> None:
    lines = [line(str(n)) for n in range(3)]

    assert len(read(*lines, max_lines=3)) == 3
    with pytest.raises(RequestInvalidError, match="at most 2 lines"):
        read(*lines, max_lines=2)


def test_an_upload_without_lines_is_refused() -> None:
    with pytest.raises(RequestInvalidError, match="no clips"):
        read(b"\n\n")


def test_blank_lines_count_as_lines() -> None:
    """A body of blank lines would be read for minutes, and hold a thread for as long."""
    with pytest.raises(RequestInvalidError, match="at most 3 lines"):
        read(line("a"), b"\n" * 3, max_lines=3)
    assert len(read(line("a"), b"\n \n", line("b"), max_lines=4)) == 2
    with pytest.raises(RequestInvalidError, match=r"nothing was stored; line 3: "):
        read(b"\n\n", b"{\n")


def test_reading_stops_at_the_deadline_and_when_the_client_leaves() -> None:
    lines = [line(str(n)) for n in range(3)]
    late, left = Deadline(), Deadline()
    late.begin(0)
    left.abandon()
    with working_until(late), pytest.raises(DeadlineError):
        read(*lines)
    with working_until(left), pytest.raises(ClientDisconnectedError):
        read(*lines)
    with working_until(late), pytest.raises(DeadlineError):
        read(b"\n" * 10)
