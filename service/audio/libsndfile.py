"""Decoding by libsndfile: WAV, AIFF, AU, CAF, FLAC, Ogg and MP3, block by block."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from service.audio.errors import AudioTruncatedError, AudioUndecodableError, MediaUnsupportedError
from service.audio.library_messages import collecting_messages, log_messages

BLOCK_FRAMES = 262_144

_MEDIA_TYPES = {
    "AIFF": "audio/aiff",
    "AU": "audio/basic",
    "CAF": "audio/x-caf",
    "FLAC": "audio/flac",
    "MP3": "audio/mpeg",
    "OGG": "audio/ogg",
    "RF64": "audio/wav",
    "W64": "audio/x-w64",
    "WAV": "audio/wav",
    "WAVEX": "audio/wav",
}
# Formats that state their number of frames. For an MP3 libsndfile may guess it from the size, and
# a FLAC file that was written to a pipe states none.
_COUNTED = frozenset({"AIFF", "AU", "CAF", "FLAC", "RF64", "W64", "WAV", "WAVEX"})
_MAX_COUNT = 2**62
_INT16_STEP = np.float32(2.0**-15)
# Larger than any file; some systems fail on a seek beyond it.
_MAX_POSITION = 2**48


class SourceView:
    """File object through which libsndfile reads a source.

    It has no name, since soundfile would choose the format by the name. A seek to an invalid
    position, which a damaged header can cause, keeps the position: an exception would be printed
    and ignored by the callback.

    Args:
        source: The source, seekable.
        header: Bytes that precede the source.
        skipped: Bytes at the start of the source that the header replaces.
    """

    def __init__(self, source: BinaryIO, *, header: bytes = b"", skipped: int = 0) -> None:
        self._source = source
        self._header = header
        self._shift = len(header) - skipped
        self._position = 0

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer at the end of the header."""
        if self._position < len(self._header):
            data = self._header[self._position : self._position + size]
        else:
            self._source.seek(self._position - self._shift)
            data = self._source.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position if it is valid, and return the current position."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._source.seek(0, io.SEEK_END) + self._shift
        if 0 <= offset < _MAX_POSITION:
            self._position = offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # untyped
    """Never seeks: soundfile seeks after each read, which fails in files without a length."""

    def seekable(self) -> bool:
        return False


class SoundFileStream:
    """A source that libsndfile decodes.

    Args:
        source: Seekable binary file.

    Raises:
        AudioUndecodableError: libsndfile cannot read the source.
        MediaUnsupportedError: libsndfile reads the format, and the service does not support it.
    """

    def __init__(self, source: BinaryIO) -> None:
        header, skipped = make_xing_header(source)
        self._messages: list[str] = []
        try:
            with collecting_messages(self._messages):
                self._file = _ForwardSoundFile(SourceView(source, header=header, skipped=skipped))
        except soundfile.LibsndfileError as error:
            log_messages(self._messages)
            raise AudioUndecodableError(
                "the file starts like audio but cannot be decoded"
            ) from error
        self.media_type = _MEDIA_TYPES.get(self._file.format, "")
        if not self.media_type:
            name = self._file.format_info
            self._file.close()
            raise MediaUnsupportedError(f"{name} is not supported; send wav, flac, ogg or mp3")
        self.sample_rate_hz = int(self._file.samplerate)
        self.channels = int(self._file.channels)

    def blocks(self) -> Iterator[Float32[np.ndarray, "frames channels"]]:
        """Yield all frames, up to `BLOCK_FRAMES` at a time.

        Raises:
            AudioTruncatedError: Decoding ended before the declared number of frames.
        """
        declared = self._file.frames if self._file.format in _COUNTED else _MAX_COUNT
        n_read = 0
        error: Exception | None = None
        while True:
            try:
                with collecting_messages(self._messages):
                    block = self._read_block()
            except soundfile.LibsndfileError as failure:
                error = failure
                break
            if len(block) == 0:
                break
            n_read += len(block)
            yield block
        if error or n_read < declared < _MAX_COUNT:
            raise AudioTruncatedError(
                f"decoding ended after {n_read} frames though the file declares more: "
                "it is cut short or damaged"
            ) from error

    def _read_block(self) -> Float32[np.ndarray, "frames channels"]:
        if self._file.subtype != "PCM_16":
            block: np.ndarray = self._file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        else:  # the same values, several times as fast: libsndfile converts sample by sample
            codes = self._file.read(BLOCK_FRAMES, dtype="int16", always_2d=True)
            block = codes * _INT16_STEP
        return block

    def close(self) -> None:
        """Free the decoder; the source stays open."""
        with collecting_messages(self._messages):
            self._file.close()
        log_messages(self._messages)


def encode_mp3(samples: Float32[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """Encode a mono waveform as an MP3 file, at the default bit rate of libsndfile.

    Args:
        samples: Waveform, -1 to 1.
        sample_rate: A sample rate of MPEG audio [Hz].
    """
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate, channels=1, format="MP3") as encoder:
        for first in range(0, samples.size, BLOCK_FRAMES):
            encoder.write(samples[first : first + BLOCK_FRAMES])
    return file.getvalue()


# If an MP3 states no length, libsndfile guesses it from the size of the first frame and stops
# there; with a variable bit rate that may be a fifth of the file. After a Xing header that declares
# more frames than the file has, libsndfile reads to the end of the file.
_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
_MAX_TAG_END = 48
"""A length tag ends before this byte of the first frame."""
_MPEG_1 = 3
_LAYER_3 = 1
_MONO = 3
_SAMPLE_RATES_HZ = (44_100, 48_000, 32_000)
_BITRATE_INDEX = 9
_BITRATES = {True: 128_000, False: 80_000}
"""Bit rates of that index in layer III, by whether it is MPEG 1 [bit/s]."""
_DECLARED_FRAMES = 0x00FF_FFFF
"""Five days of audio; nothing is allocated by it."""


def make_xing_header(source: BinaryIO) -> tuple[bytes, int]:
    """Make the Xing header of an MP3 file that does not state its length.

    Returns:
        The header, and the number of bytes at the start of the source, its ID3 tag, that it
        replaces. Empty and 0 for an MP3 that states its length and for other files.
    """
    source.seek(0)
    head = source.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:
        # The size has 7 bits in each byte and does not count the 10 bytes of the tag's header.
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[:5:-1]))
    source.seek(start)
    frame = source.read(_MAX_TAG_END)
    if not _is_layer_3(frame) or any(tag in frame for tag in _LENGTH_TAGS):
        return b"", 0
    return _xing_frame(frame), start


def _is_layer_3(frame: bytes) -> bool:
    """Tell whether bytes start with a valid frame header of MPEG audio, layer III."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return False
    version, layer = frame[1] >> 3 & 3, frame[1] >> 1 & 3
    return version != 1 and layer == _LAYER_3 and frame[2] >> 2 & 3 != 3


def _xing_frame(first: bytes) -> bytes:
    """Make a frame in the format of the frame `first` that holds only a Xing header."""
    version, rate_index, mode = first[1] >> 3 & 3, first[2] >> 2 & 3, first[3] >> 6
    is_mpeg_1 = version == _MPEG_1
    sample_rate = _SAMPLE_RATES_HZ[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    size = (144 if is_mpeg_1 else 72) * _BITRATES[is_mpeg_1] // sample_rate
    side_info = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[
        is_mpeg_1, mode == _MONO
    ]
    # Without checksum, at the fixed bit rate, without padding.
    header = bytes((0xFF, first[1] | 1, _BITRATE_INDEX << 4 | rate_index << 2, first[3]))
    tag = struct.pack(">4sII", b"Xing", 1, _DECLARED_FRAMES)
    return (header + bytes(side_info) + tag).ljust(size, b"\0")
