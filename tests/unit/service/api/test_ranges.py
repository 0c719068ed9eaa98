from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.api.ranges import requested_range
from service.errors import RangeInvalidError

SIZE = 10


def requested(*given: str, size: int = SIZE, if_range: str | None = None) -> range | None:
    raw = [(b"range", value.encode()) for value in given]
    if if_range is not None:
        raw.append((b"if-range", if_range.encode()))
    return requested_range(Headers(raw=raw), size, "tag")


@pytest.mark.parametrize(
    ("given", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=4-7", 4, 8),
        ("BYTES=4-7", 4, 8),
        ("bytes=4-", 4, 10),
        ("bytes=4-99", 4, 10),
        (f"bytes=0-{'9' * 5000}", 0, 10),
        ("bytes=0000000000000000000000000004-7", 4, 8),
        ("bytes=-3", 7, 10),
        ("bytes=-99", 0, 10),
        ("bytes= , 4-7\t,,", 4, 8),
        ("bytes=4-7,99-", 4, 8),
        ("bytes=-0,4-7", 4, 8),
    ],
)
def test_one_part_is_sent(given: str, start: int, stop: int) -> None:
    assert requested(given) == range(start, stop)


@pytest.mark.parametrize("given", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99-,50-60"])
def test_parts_beyond_the_end_are_refused(given: str) -> None:
    with pytest.raises(RangeInvalidError, match="10 bytes"):
        requested(given)


def test_no_part_of_an_empty_file_can_be_sent() -> None:
    for given in ("bytes=0-", "bytes=-1"):
        with pytest.raises(RangeInvalidError):
            requested(given, size=0)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "4-7",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes 4-7",
        "bytes =4-7",
        "bytes=7-4",
        "bytes=4-7,7-4",
        "bytes=4-7,x",
        "bytes=99-,x",
        "bytes=+4-7",
        "bytes=4--7",
        "bytes=4 - 7",
        "bytes=\u0664-\u0667",
        "bytes=0x4-7",
        "bytes=4.0-7",
        "seconds=4-7",
        "items=0-1",
    ],
)
def test_what_is_malformed_or_of_another_unit_is_ignored(given: str) -> None:
    assert requested(given) is None


def test_several_parts_get_the_whole_file() -> None:
    assert requested("bytes=0-1,4-7") is None
    assert requested("bytes=0-1", "bytes=4-7") is None


def test_a_part_is_sent_only_of_the_content_that_if_range_names() -> None:
    assert requested("bytes=4-7", if_range='"tag"') == range(4, 8)
    for other in ('"other"', 'W/"tag"', "tag", "*", "Mon, 30 Nov 2026 18:00:00 GMT"):
        assert requested("bytes=4-7", if_range=other) is None
        assert requested("bytes=99-", if_range=other) is None
