from __future__ import annotations

import base64

import pytest

from service.catalog.pagination import decode_cursor, encode_cursor
from service.errors import CursorInvalidError

LIBRARY, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.mark.parametrize("after", [0, 1, 255, 2**40, 2**63 - 1])
def test_a_cursor_returns_its_number(after: int) -> None:
    assert decode_cursor(encode_cursor(after, LIBRARY), LIBRARY) == after


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "17",
        "not a cursor",
        "ü",
        "A" * 17,
        encode_cursor(1, LIBRARY)[:-1],
        encode_cursor(1, LIBRARY) + "\n",
        encode_cursor(1, OTHER),
        base64.urlsafe_b64encode(bytes.fromhex(LIBRARY)[:4] + b"\xff" * 8).decode(),
    ],
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalidError):
        decode_cursor(cursor, LIBRARY)
