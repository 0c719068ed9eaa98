"""Container format and completeness of a file, read from its bytes before it is decoded.

Only files with known first bytes are decoded. libsndfile would look for resource forks on disk for
unknown files, and FFmpeg would try every format it was built with.
"""

from __future__ import annotations

import struct
from io import SEEK_END
from typing import BinaryIO, Literal

from service.errors import AudioUndecodableError, FileEmptyError, MediaUnsupportedError

Decoder = Literal["soundfile", "mp4", "aac"]

_SNIFFED_BYTES = 16
# A RIFF size from here up means an unknown length: writers to a pipe leave 0x7FFFF000, 0x80000000
# or 0xFFFFFFFF.
_UNKNOWN_SIZE = 0x7FFF_0000

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


def sniff(source: BinaryIO) -> Decoder:
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
    """Count the bytes that a RIFF, AIFF or MP4 file declares but does not have.

    Decoders read such a file as if it were shorter, without an error. The count is 0 for complete
    files, for files written to a pipe, which declare no length, and for other formats. The position
    in the file changes.
    """
    end = source.seek(0, SEEK_END)
    source.seek(0)
    head = source.read(12)
    if head[4:8] == b"ftyp":
        return _missing_of_mp4(source, end)
    order = {b"RIFF": "<", b"RIFX": ">", b"FORM": ">"}.get(head[:4])
    return _missing_of_riff(source, end, order) if order else 0


def _missing_of_riff(source: BinaryIO, end: int, order: str) -> int:
    position = 12
    while position + 8 <= end:
        source.seek(position)
        name, size = struct.unpack(f"{order}4sI", source.read(8))
        if name in (b"data", b"SSND"):
            missing = position + 8 + size - end
            # A single byte is the padding of an odd chunk, which some writers omit.
            return missing if missing > 1 and size < _UNKNOWN_SIZE else 0
        position += 8 + size + size % 2
    return 0


def _missing_of_mp4(source: BinaryIO, end: int) -> int:
    position = 0
    while position + 16 <= end:
        source.seek(position)
        size, _, size_64 = struct.unpack(">I4sQ", source.read(16))
        if size == 1:
            size = size_64
        if size < 8:  # 0 means "to the end of the file"; other values are damage
            return 0
        position += size
    return max(0, position - end)
