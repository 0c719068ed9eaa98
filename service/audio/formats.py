"""Container format and completeness of a file, read from its bytes before it is decoded.

Only files with known first bytes are decoded. libsndfile would look for resource forks on disk for
unknown files, and FFmpeg would try every format it was built with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from io import SEEK_END
from typing import BinaryIO, Literal

from service.audio.errors import AudioUndecodableError, FileEmptyError, MediaUnsupportedError

DecoderName = Literal["soundfile", "mp4", "aac"]

_SNIFFED_BYTES = 16
# A RIFF size from here up means an unknown length: writers to a pipe leave 0x7FFFF000, 0x80000000
# or 0xFFFFFFFF.
_UNKNOWN_SIZE = 0x7FFF_0000
# The same for sizes of 64 bits.
_UNKNOWN_SIZE_64 = 2**61
# The size of the data in an RF64 file whose true one is in its chunk ds64.
_IN_DS64 = 0xFFFF_FFFF
# Chunks that are looked at; a file of many empty ones is left to the decoder.
_MAX_CHUNKS = 100_000

_MAGIC = (b"fLaC", b"OggS", b"ID3", b".snd", b"caff", b"riff\x2e\x91\xcf\x11")
_FORMS = (b"WAVE", b"AIFF", b"AIFC")
_REFUSED = {
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"\x30\x26\xb2\x75": "WMA",
    b"#!AMR": "AMR",
    b"MAC ": "Monkey's Audio",
    b"MThd": "MIDI",
    b"wvpk": "WavPack",
}


def sniff(source: BinaryIO) -> DecoderName:
    """Choose the decoder of a file by its first bytes; the position is then the start.

    Raises:
        FileEmptyError: The file has no bytes.
        MediaUnsupportedError: The format is known and not supported.
        AudioUndecodableError: The format is unknown.
    """
    source.seek(0)
    head = source.read(_SNIFFED_BYTES)
    source.seek(0)
    if not head:
        raise FileEmptyError("the file has 0 bytes")
    if head.startswith(_MAGIC):
        return "soundfile"
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM") and head[8:12] in _FORMS:
        return "soundfile"
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # The layer bits of an MPEG frame; AAC in ADTS uses the reserved value 0.
        return "soundfile" if head[1] & 0x06 else "aac"
    for magic, name in _REFUSED.items():
        if head.startswith(magic):
            raise MediaUnsupportedError(
                f"{name} files are not supported; send wav, flac, ogg, opus, mp3 or m4a"
            )
    raise AudioUndecodableError("the first bytes belong to no audio format that is read here")


def missing_bytes(source: BinaryIO) -> int:
    """Count the bytes that the header of a file declares but the file does not have.

    Decoders read such a file as if it were shorter, without an error, and some of them make samples
    up. The count is 0 for complete files, for files written to a pipe, which declare no length, and
    for formats without a size of the whole. The position in the file changes.

    Raises:
        AudioUndecodableError: A size is negative, or smaller than its own field.
    """
    end = source.seek(0, SEEK_END)
    source.seek(0)
    head = source.read(16)
    if head[4:8] == b"ftyp":
        return _missing_of_mp4(source, end)
    counters: dict[bytes, Callable[[BinaryIO, int], int]] = {
        b"RIFF": partial(_missing_of_riff, order="<"),
        b"RIFX": partial(_missing_of_riff, order=">"),
        b"FORM": partial(_missing_of_riff, order=">"),
        b"RF64": _missing_of_rf64,
        b"riff": _missing_of_w64,
        b"caff": _missing_of_caf,
        b".snd": _missing_of_au,
    }
    count = counters.get(head[:4])
    return count(source, end) if count else 0


def _missing_of_riff(source: BinaryIO, end: int, order: str) -> int:
    for name, size, position in _chunks(source, end, 12, f"{order}4sI", align=2):
        if name in (b"data", b"SSND"):
            return _missing(position + size - end) if size < _UNKNOWN_SIZE else 0
    return 0


def _missing_of_rf64(source: BinaryIO, end: int) -> int:
    """Count with the size in the chunk ds64, if that of the data says so."""
    large = 0
    for name, size, position in _chunks(source, end, 12, "<4sI", align=2):
        if name == b"ds64" and size >= 16:
            source.seek(position + 8)
            (large,) = struct.unpack("<q", source.read(8).ljust(8, b"\0"))
            _check_size(large)
        elif name == b"data":
            size = large if size == _IN_DS64 else size
            return _missing(position + size - end) if size < _UNKNOWN_SIZE_64 else 0
    return 0


def _missing_of_w64(source: BinaryIO, end: int) -> int:
    """Count in chunks whose sizes include the 24 bytes of name and size."""
    for name, size, position in _chunks(source, end, 40, "<4s12xq", align=8, included=24):
        if name == b"data":
            return max(0, position + size - end) if size < _UNKNOWN_SIZE_64 else 0
    return 0


def _missing_of_caf(source: BinaryIO, end: int) -> int:
    for name, size, position in _chunks(source, end, 8, ">4sq", align=1):
        if name == b"data":
            return max(0, position + size - end)
    return 0


def _missing_of_au(source: BinaryIO, end: int) -> int:
    source.seek(4)
    offset, size = struct.unpack(">II", source.read(8).ljust(8, b"\0"))
    return 0 if size == 0xFFFF_FFFF else max(0, offset + size - end)


def _chunks(
    source: BinaryIO, end: int, start: int, header: str, *, align: int, included: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and position of the contents of chunks.

    Args:
        source: The file.
        end: Its size [bytes].
        start: Position of the first chunk.
        header: Format of name and size, as of `struct`.
        align: The next chunk begins at a multiple of it [bytes].
        included: Bytes of the header that the size includes.

    Raises:
        AudioUndecodableError: A size is negative, or smaller than what it includes.
    """
    position, header_bytes = start, struct.calcsize(header)
    for _ in range(_MAX_CHUNKS):
        if position + header_bytes > end:
            return
        source.seek(position)
        name, size = struct.unpack(header, source.read(header_bytes))
        size -= included
        _check_size(size)
        position += header_bytes
        yield name, size, position
        position += size + -size % align


def _check_size(size: int) -> None:
    if size < 0:
        raise AudioUndecodableError("a chunk of the file declares a negative size")


def _missing(n_bytes: int) -> int:
    """Return the missing bytes; one is the padding of an odd chunk, which some writers omit."""
    return n_bytes if n_bytes > 1 else 0


def _missing_of_mp4(source: BinaryIO, end: int) -> int:
    position = 0
    for _ in range(_MAX_CHUNKS):
        if position + 16 > end:
            break
        source.seek(position)
        size, _, size_64 = struct.unpack(">I4sQ", source.read(16))
        if size == 1:
            size = size_64
        if size < 8:  # 0 means "to the end of the file"; other values are damage
            return 0
        position += size
    return max(0, position - end)
