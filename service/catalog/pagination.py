"""Cursors of listings: opaque to clients, and valid for one library only."""

from __future__ import annotations

import base64
import struct

from service.errors import CursorInvalidError

_LAYOUT = struct.Struct(">4sq")


def encode_cursor(after: int, library: str) -> str:
    """Return the cursor for the clips that come after a number.

    Args:
        after: Number of the last clip that was listed, 0..2^63-1.
        library: Identity of the library, hexadecimal.
    """
    packed = _LAYOUT.pack(bytes.fromhex(library)[:4], after)
    return base64.urlsafe_b64encode(packed).decode("ascii")


def decode_cursor(cursor: str, library: str) -> int:
    """Return the clip number that a cursor holds.

    Raises:
        CursorInvalidError: It is not a cursor of this library.
    """
    try:
        prefix, after = _LAYOUT.unpack(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, struct.error) as err:
        raise CursorInvalidError(f"{cursor!r:.80} is not a cursor that a listing gave") from err
    if prefix != bytes.fromhex(library)[:4] or after < 0:
        raise CursorInvalidError(f"{cursor!r:.80} is not a cursor of this library")
    return int(after)
