"""What a file says about itself, read from its bytes before any decoder sees it.

Only files whose first bytes are known go to a decoder: libsndfile answers unknown ones by looking
for resource forks on disk, and FFmpeg by probing everything it was built with.
"""

from __future__ import annotations

import struct
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO, Literal

from service.errors import AudioUndecodableError, FileEmptyError, MediaUnsupportedError

Decoder = Literal["soundfile", "mp4", "aac"]

_SNIFFED_BYTES = 16
# From here up a RIFF size means "written to a pipe, length unknown": writers leave 0x7FFFF000,
# 0x80000000 or 0xFFFFFFFF behind.
_UNKNOWN_SIZE = 0x7FFF_0000
# Files end earlier, and a seek beyond fails on some systems.
_FARTHEST = 2**48

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


class View:
    """A file as a decoder may see it.

    It has no name, which soundfile would judge it by. A seek to nowhere, which a damaged header
    can ask for, leaves the position as it is instead of raising where nobody catches.

    Args:
        file: The file.
        header: Bytes that stand in front of it.
        skipped: Bytes of the file that the header replaces.
    """

    def __init__(self, file: BinaryIO, *, header: bytes = b"", skipped: int = 0) -> None:
        self._file = file
        self._header = header
        self._shift = len(header) - skipped
        self._position = 0

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; at the end of the header fewer than there are."""
        if self._position < len(self._header):
            data = self._header[self._position : self._position + size]
        else:
            self._file.seek(self._position - self._shift)
            data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position if there is such a one, and return where that leads."""
        if whence == SEEK_CUR:
            offset += self._position
        elif whence == SEEK_END:
            offset += self._file.seek(0, SEEK_END) + self._shift
        if 0 <= offset < _FARTHEST:
            self._position = offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def sniff(source: BinaryIO) -> Decoder:
    """Say who decodes this file, by its first bytes; leaves the position at its start.

    Raises:
        FileEmptyError: It has no bytes.
        MediaUnsupportedError: It is of a known kind that is not decoded here.
        AudioUndecodableError: It is nothing known.
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

    Decoders silently shorten such a file to what is there. 0 for complete files, for files
    written to a pipe, which never knew their length, and for other formats. Keeps no position.
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
            # One byte less is the padding of an odd chunk, which some writers leave out.
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
        if size < 8:  # 0 means "to the end of the file", anything else is damage
            return 0
        position += size
    return max(0, position - end)
