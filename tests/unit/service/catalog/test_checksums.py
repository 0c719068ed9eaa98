from __future__ import annotations

import pytest

from service.catalog.checksums import (
    NO_CHECKSUM,
    record_checksum,
    vector_checksum,
    window_checksum,
)

RECORD = ("rain", "stored", "ab" * 32, None, "audio/wav", 44, 0.25, 48_000, 2, '{"a":"ü"}')
EMBEDDING = bytes(range(64))


def test_checksums_are_the_same_for_ever() -> None:
    """They stand in libraries, and every later version must compute the same."""
    assert record_checksum(RECORD) == 169_250_264
    assert vector_checksum(7, "ab" * 32, "float32", EMBEDDING) == 100_059_352
    assert window_checksum(7, "ab" * 32, 3, 5.0, 15.25, EMBEDDING) == 1_012_311_038


@pytest.mark.parametrize("place", range(len(RECORD)))
def test_every_column_of_a_record_is_covered(place: int) -> None:
    other = list(RECORD)
    other[place] = "other"
    assert record_checksum(other) != record_checksum(RECORD)


@pytest.mark.parametrize("place", range(6))
def test_every_column_of_a_window_is_covered(place: int) -> None:
    row = [7, "ab" * 32, 3, 5.0, 15.25, EMBEDDING]
    other = list(row)
    other[place] = b"other" if place == 5 else 8
    assert window_checksum(*other) != window_checksum(*row)


def test_bytes_that_became_a_text_have_no_checksum() -> None:
    assert vector_checksum(7, "ab" * 32, "float32", EMBEDDING.decode()) == NO_CHECKSUM


def test_a_text_that_is_not_unicode_has_a_checksum_of_its_own() -> None:
    damaged = b"rain\xff".decode(errors="surrogateescape")
    assert record_checksum((damaged,)) != record_checksum(("rain",))
