"""Encoder of greyscale images as PNG (ISO/IEC 15948): header, one compressed chunk, end."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

MEDIA_TYPE = "image/png"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_GREY = (8, 0, 0, 0, 0)


def to_png(pixels: UInt8[np.ndarray, "rows columns"]) -> bytes:
    """Encode an image as the bytes of a PNG file; 0 is black and 255 white."""
    rows, columns = pixels.shape
    header = struct.pack(">2I5B", columns, rows, *_EIGHT_BIT_GREY)
    # The first byte of each row names its filter; 0 is none.
    lines = np.pad(pixels, ((0, 0), (1, 0)))
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(lines.tobytes())),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
