"""MP3 files that do not say how long they are, made readable to their end.

Without a Xing, Info or VBRI header libsndfile guesses the length from the size of the first frame
and stops there; of a file with variable bit rate that may be a fifth. Behind a Xing header that
promises more than the file can hold, reading ends where the file ends.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
# Where a header frame has its tag, at the latest.
_TAG_REACH = 48
_MPEG_1 = 3
_LAYER_3 = 1
_MONO = 3
_SAMPLE_RATES_HZ = (44_100, 48_000, 32_000)
# Index 9 of the tables of layer III [bit/s]; any frame of it holds a Xing header.
_BITRATE_INDEX = 9
_BITRATES = {True: 128_000, False: 80_000}
# Five days of audio; a promise, not a size of anything.
_MANY_FRAMES = 0x00FF_FFFF


def length_header(source: BinaryIO) -> tuple[bytes, int]:
    """Make the header that an MP3 without a stated length lacks.

    Returns:
        The bytes to put in front, and how many bytes of the file, its ID3 tag, they replace.
        Nothing and 0 for an MP3 that states its length and for any other file.
    """
    source.seek(0)
    head = source.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:
        # Seven bits of each byte count, and the tag's own header does not.
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[:5:-1]))
    source.seek(start)
    first = source.read(_TAG_REACH)
    if not _is_layer_3(first) or any(tag in first for tag in _LENGTH_TAGS):
        return b"", 0
    return _header_frame(first), start


def _is_layer_3(frame: bytes) -> bool:
    """Tell whether bytes start with a valid frame header of MPEG audio, layer III."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return False
    version, layer = frame[1] >> 3 & 3, frame[1] >> 1 & 3
    return version != 1 and layer == _LAYER_3 and frame[2] >> 2 & 3 != 3


def _header_frame(first: bytes) -> bytes:
    """Make a frame of the kind of `first` that holds nothing but a Xing header."""
    version, rate_index, mode = first[1] >> 3 & 3, first[2] >> 2 & 3, first[3] >> 6
    is_mpeg_1 = version == _MPEG_1
    sample_rate = _SAMPLE_RATES_HZ[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    size = (144 if is_mpeg_1 else 72) * _BITRATES[is_mpeg_1] // sample_rate
    side_info = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[
        is_mpeg_1, mode == _MONO
    ]
    # Without checksum, at the fixed bit rate, without padding.
    header = bytes((0xFF, first[1] | 1, _BITRATE_INDEX << 4 | rate_index << 2, first[3]))
    tag = struct.pack(">4sII", b"Xing", 1, _MANY_FRAMES)
    return (header + bytes(side_info) + tag).ljust(size, b"\0")
