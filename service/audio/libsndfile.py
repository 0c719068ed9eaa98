"""Files that libsndfile reads, block by block."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from service.audio import formats as containers
from service.audio import mpeg
from service.errors import AudioTruncatedError, AudioUndecodableError, MediaUnsupportedError

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
# Formats whose count of frames is stated in the file; an MP3's may be a guess from its size, and
# a FLAC written to a pipe states none.
_COUNTED = frozenset({"AIFF", "AU", "CAF", "FLAC", "RF64", "W64", "WAV", "WAVEX"})
_MAX_COUNT = 2**62
_INT16_STEP = np.float32(2.0**-15)


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # untyped
    """Reads forward only: seeking after each read fails in files that do not state their length."""

    def seekable(self) -> bool:
        return False


class SoundFileStream:
    """A source that libsndfile reads.

    Args:
        source: Seekable binary file.

    Raises:
        AudioUndecodableError: It is none that libsndfile reads.
        MediaUnsupportedError: It is one that is not taken here.
    """

    def __init__(self, source: BinaryIO) -> None:
        header, skipped = mpeg.length_header(source)
        view = containers.View(source, header=header, skipped=skipped)
        try:
            self._file = _ForwardSoundFile(view)
        except soundfile.LibsndfileError as error:
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
            AudioTruncatedError: Decoding ended before the frames that the file declares.
        """
        declared = self._file.frames if self._file.format in _COUNTED else _MAX_COUNT
        n_read = 0
        error: Exception | None = None
        while True:
            try:
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
        else:  # the same values, several times as fast: libsndfile converts one by one
            codes = self._file.read(BLOCK_FRAMES, dtype="int16", always_2d=True)
            block = codes * _INT16_STEP
        return block

    def close(self) -> None:
        """Let the file go; the source stays open."""
        self._file.close()


def encode_mp3(samples: Float32[np.ndarray, " samples"], sample_rate: int) -> bytes:
    """Write a mono sound as an MP3 file, at libsndfile's own choice of bit rate.

    Args:
        samples: Full scale 1.
        sample_rate: One that MPEG knows [Hz].
    """
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate, channels=1, format="MP3") as encoder:
        for first in range(0, samples.size, BLOCK_FRAMES):
            encoder.write(samples[first : first + BLOCK_FRAMES])
    return file.getvalue()
