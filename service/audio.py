"""From a file to a mono waveform: decode, check, mix down, resample, all while reading.

Nothing is allocated by what a header says: samples are read in blocks, and reading stops as soon
as a limit is passed. Training and service decode with this module, so that both hear the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from service import containers, mpeg
from service.errors import (
    AudioEmptyError,
    AudioNotFiniteError,
    AudioTooLongError,
    AudioTruncatedError,
    AudioUndecodableError,
    ChannelsUnsupportedError,
    MediaUnsupportedError,
    SampleRateUnsupportedError,
    SamplesTooManyError,
)

RESAMPLER = "soxr"
RESAMPLER_QUALITY = "HQ"
MIN_SAMPLE_RATE_HZ = 4_000
MAX_SAMPLE_RATE_HZ = 384_000
MAX_CHANNELS = 8
# Full scale is 1; beyond this a float file holds something else than sound.
MAX_AMPLITUDE = 1_000.0
BLOCK_FRAMES = 65_536

# What folder walkers take for audio; the content decides, not the name.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".caf"}
    | {".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"}
)

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


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """How much one clip may hold.

    Attributes:
        max_seconds: Longest clip [s].
        max_samples: Most samples after mixing down and resampling.
    """

    max_seconds: float = 1800.0
    max_samples: int = 57_600_000


@dataclass(frozen=True, slots=True)
class Audio:
    """A decoded clip.

    Attributes:
        samples: Mono waveform [samples] at the rate asked for, float32, at least one sample.
        duration_s: Length of the source [s].
        source_rate_hz: Sample rate of the source [Hz].
        source_channels: Channels of the source.
        media_type: What the source is, e.g. "audio/flac".
    """

    samples: np.ndarray
    duration_s: float
    source_rate_hz: int
    source_channels: int
    media_type: str


class _Stream(Protocol):
    """An opened source: its format, and its samples block by block."""

    media_type: str
    sample_rate_hz: int
    channels: int

    def blocks(self) -> Iterator[Float32[np.ndarray, "frames channels"]]: ...

    def close(self) -> None: ...


def decode(
    source: BinaryIO | Path, *, sample_rate: int, limits: AudioLimits | None = None
) -> Audio:
    """Decode a whole file to mono at `sample_rate`.

    A clip of n frames becomes n * sample_rate / source rate samples, rounded, and at least one. A
    source already at `sample_rate` is not resampled.

    Args:
        source: Path, or seekable binary file; read from its start.
        sample_rate: Rate of the result [Hz].
        limits: How much to accept; the defaults of `AudioLimits` if not given.

    Raises:
        AudioError: The file does not become audio; the subclass says why.
        OSError: The path cannot be opened.
    """
    limits = limits or AudioLimits()
    if isinstance(source, Path):
        with source.open("rb") as file:
            return decode(file, sample_rate=sample_rate, limits=limits)
    with _open(source) as stream:
        _check_format(stream)
        return _read(stream, sample_rate, limits)


def resample(
    samples: Float32[np.ndarray, " frames"], source_rate: int, sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    """Bring a mono waveform to another rate as `decode` does.

    Args:
        samples: What to resample.
        source_rate: Its rate [Hz].
        sample_rate: Rate of the result [Hz].
    """
    resampler = _Resampler(source_rate, sample_rate)
    return np.concatenate([resampler(samples), resampler.flush()])


def _open(source: BinaryIO) -> AbstractContextManager[_Stream]:
    decoder = containers.sniff(source)
    if missing := containers.missing_bytes(source):
        raise AudioTruncatedError(f"the file declares {missing} bytes more than it has")
    source.seek(0)
    if decoder == "soundfile":
        return closing(_SoundFileStream(source))
    try:
        # PyAV is the optional extra `aac`.
        from service.aac import AacStream
    except ImportError as error:
        raise MediaUnsupportedError(
            "m4a and aac need the extra `aac`, which is not installed here; "
            "send wav, flac, ogg, opus or mp3"
        ) from error
    return closing(AacStream(source, decoder))


def _check_format(stream: _Stream) -> None:
    if not MIN_SAMPLE_RATE_HZ <= stream.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise SampleRateUnsupportedError(
            f"the sample rate is {stream.sample_rate_hz} Hz; "
            f"{MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz are allowed"
        )
    if not 1 <= stream.channels <= MAX_CHANNELS:
        raise ChannelsUnsupportedError(
            f"there are {stream.channels} channels; 1 to {MAX_CHANNELS} are allowed"
        )


def _read(stream: _Stream, sample_rate: int, limits: AudioLimits) -> Audio:
    resample = _Resampler(stream.sample_rate_hz, sample_rate)
    chunks: list[np.ndarray] = []
    n_frames = n_samples = 0
    mono = np.zeros(0, np.float32)
    for block in stream.blocks():
        n_frames += len(block)
        if n_frames > limits.max_seconds * stream.sample_rate_hz:
            raise AudioTooLongError(
                f"the audio is longer than {limits.max_seconds:g} s, the most that is allowed"
            )
        mono = _mix_down(block)
        chunks.append(resample(mono))
        n_samples += len(chunks[-1])
        _check_count(n_samples, sample_rate, limits)
    if n_frames == 0:
        raise AudioEmptyError("the file is valid but holds no samples; at least one is needed")
    chunks.append(resample.flush())
    _check_count(n_samples + len(chunks[-1]), sample_rate, limits)
    samples = np.concatenate(chunks)
    return Audio(
        # So few frames that they round to no sample at all still make one: clips have any length.
        samples=samples if samples.size else mono.mean(keepdims=True),
        duration_s=n_frames / stream.sample_rate_hz,
        source_rate_hz=stream.sample_rate_hz,
        source_channels=stream.channels,
        media_type=stream.media_type,
    )


def _check_count(n_samples: int, sample_rate: int, limits: AudioLimits) -> None:
    if n_samples > limits.max_samples:
        raise SamplesTooManyError(
            f"there are more than {limits.max_samples} samples at {sample_rate} Hz, "
            "the most that is allowed"
        )


def _mix_down(block: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, " frames"]:
    peak = max(block.max(), -block.min())
    if not peak <= MAX_AMPLITUDE:  # also true of NaN
        raise AudioNotFiniteError(
            f"a sample has magnitude {peak:g}; samples must be finite and within "
            f"{MAX_AMPLITUDE:g} times full scale"
        )
    mono: np.ndarray = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
    return mono


class _Resampler:
    """Streaming resampler; what it returns in total equals resampling the whole at once."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._stream = (
            None
            if rate_in == rate_out
            else soxr.ResampleStream(rate_in, rate_out, 1, "float32", RESAMPLER_QUALITY)
        )

    def __call__(self, mono: Float32[np.ndarray, " frames"]) -> Float32[np.ndarray, " samples"]:
        return mono if self._stream is None else self._stream.resample_chunk(mono)

    def flush(self) -> Float32[np.ndarray, " samples"]:
        """Return what the filter still holds at the end of the clip."""
        rest = np.zeros(0, np.float32)
        return rest if self._stream is None else self._stream.resample_chunk(rest, last=True)


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # untyped
    """Reads forward only: seeking after each read fails in files that do not state their length."""

    def seekable(self) -> bool:
        return False


class _SoundFileStream:
    """A source that libsndfile reads."""

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
        declared = self._file.frames if self._file.format in _COUNTED else _MAX_COUNT
        n_read = 0
        error: Exception | None = None
        while True:
            try:
                block = self._file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
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

    def close(self) -> None:
        self._file.close()
