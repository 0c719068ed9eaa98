from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from jaxtyping import UInt8

from service.pictures.png import to_png


def read(png: bytes) -> UInt8[np.ndarray, "rows columns"]:
    """Read a greyscale PNG of 8 bits without filters, checking every chunk."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    columns, rows, *format_ = struct.unpack(">2I5B", chunks[b"IHDR"])
    assert format_ == [8, 0, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


@pytest.mark.parametrize("shape", [(1, 1), (96, 480), (3, 2048)])
def test_every_pixel_comes_back(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    assert np.array_equal(read(to_png(pixels)), pixels)
