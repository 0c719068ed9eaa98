"""Decoding of a file into a mono waveform: decode, check, mix down and resample, block by block.

Memory does not depend on the header of a file: samples are read in blocks, and reading stops when a
limit is passed. Training and service decode with this module, so that both use the same waveforms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soxr
from jaxtyping import Float32

from service.audio import formats
from service.audio.errors import (
    AudioEmptyError,
    AudioNotFiniteError,
    AudioTooLongError,
    AudioTruncatedError,
    ChannelsUnsupportedError,
    MediaUnsupportedError,
    SampleRateUnsupportedError,
    SamplesTooManyError,
)
from service.audio.libsndfile import SoundFileStream

RESAMPLER = "soxr"
RESAMPLER_QUALITY = "HQ"
MIN_SAMPLE_RATE_HZ = 4_000
MAX_SAMPLE_RATE_HZ = 384_000
MAX_CHANNELS = 8
# Full scale is 1; a float file with larger values does not hold audio.
MAX_AMPLITUDE = 1_000.0

OnSource = Callable[[np.ndarray, float], object]

# Suffixes of the files that a search of a folder returns; the content decides how they are decoded.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".caf"}
    | {".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"}
)


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """Limits of one clip.

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
        samples: Mono waveform [samples] at the requested rate, float32, at least one sample.
        duration_s: Length of the source [s].
        source_rate_hz: Sample rate of the source [Hz].
        source_channels: Channels of the source.
        media_type: Format of the source, e.g. "audio/flac".
    """

    samples: np.ndarray
    duration_s: float
    source_rate_hz: int
    source_channels: int
    media_type: str


class _Stream(Protocol):
    """An open source, with its format; gives the samples block by block."""

    media_type: str
    sample_rate_hz: int
    channels: int

    def blocks(self) -> Iterator[Float32[np.ndarray, "frames channels"]]: ...

    def close(self) -> None: ...


class AudioReader:
    """A file that is being decoded.

    Attributes:
        source_rate_hz: Sample rate of the source [Hz].
        source_channels: Channels of the source.
        media_type: Format of the source, e.g. "audio/flac".
        duration_s: Length of the source that was read so far [s].
        n_samples: Samples that were yielded so far.
        is_ended: Whether the block that was yielded last is the last one.
    """

    def __init__(self, stream: _Stream, sample_rate: int, limits: AudioLimits) -> None:
        self._stream = stream
        self._sample_rate = sample_rate
        self._limits = limits
        self.source_rate_hz = stream.sample_rate_hz
        self.source_channels = stream.channels
        self.media_type = stream.media_type
        self.duration_s = 0.0
        self.n_samples = 0
        self.is_ended = False

    def blocks(
        self, on_source: OnSource = lambda block, peak: None
    ) -> Iterator[Float32[np.ndarray, " samples"]]:
        """Yield the mono waveform in blocks; joined, they equal the result of `decode`.

        Args:
            on_source: Called with each block of the source [frames, channels], as it was before it
                was mixed down and resampled, and its largest magnitude; its samples are finite.

        Raises:
            AudioError: The file cannot be decoded; the subclass states why.
        """
        resample = _Resampler(self.source_rate_hz, self._sample_rate)
        mono = np.zeros(0, np.float32)
        for block, is_last in _mark_last(self._source_blocks()):
            peak = _find_peak(block)
            mono = _mix_down(block)
            samples = self._counted(resample(mono, is_last=is_last))
            on_source(block, peak)
            self.is_ended = is_last and self.n_samples > 0
            yield samples
        if self.duration_s == 0:
            raise AudioEmptyError("the file is valid but holds no samples; at least one is needed")
        if self.n_samples == 0:
            # A clip has at least one sample, even if the number of samples rounds to 0.
            self.is_ended = True
            yield self._counted(mono.mean(keepdims=True))

    def _source_blocks(self) -> Iterator[Float32[np.ndarray, "frames channels"]]:
        n_frames = 0
        for block in self._stream.blocks():
            n_frames += len(block)
            self.duration_s = n_frames / self.source_rate_hz
            if n_frames > self._limits.max_seconds * self.source_rate_hz:
                raise AudioTooLongError(
                    f"the audio is longer than {self._limits.max_seconds:g} s, "
                    "the most that is allowed"
                )
            yield block

    def _counted(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
        self.n_samples += samples.size
        if self.n_samples > self._limits.max_samples:
            raise SamplesTooManyError(
                f"there are more than {self._limits.max_samples} samples at "
                f"{self._sample_rate} Hz, the most that is allowed"
            )
        return samples


def decode(
    source: BinaryIO | Path, *, sample_rate: int, limits: AudioLimits | None = None
) -> Audio:
    """Decode a whole file to mono at `sample_rate`.

    n frames become n * sample_rate / source rate samples, rounded, and at least one. A source that
    has the rate `sample_rate` is not resampled.

    Args:
        source: Path, or seekable binary file; read from its start.
        sample_rate: Rate of the result [Hz].
        limits: Limits of the clip; the defaults of `AudioLimits` if None.

    Raises:
        AudioError: The file cannot be decoded; the subclass states why.
        OSError: The path cannot be opened.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return decode(file, sample_rate=sample_rate, limits=limits)
    with open_audio(source, sample_rate=sample_rate, limits=limits) as reader:
        blocks = list(reader.blocks())
        return Audio(
            samples=np.concatenate(blocks),
            duration_s=reader.duration_s,
            source_rate_hz=reader.source_rate_hz,
            source_channels=reader.source_channels,
            media_type=reader.media_type,
        )


@contextmanager
def open_audio(
    source: BinaryIO, *, sample_rate: int, limits: AudioLimits | None = None
) -> Iterator[AudioReader]:
    """Open a file to decode it block by block; see `decode`.

    Raises:
        AudioError: The format cannot be decoded; `AudioReader.blocks` raises for other faults.
    """
    with _open(source) as stream:
        _check_format(stream)
        yield AudioReader(stream, sample_rate, limits or AudioLimits())


def resample(
    samples: Float32[np.ndarray, " frames"], source_rate: int, sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    """Resample a mono waveform as `decode` does.

    Args:
        samples: Mono waveform.
        source_rate: Its sample rate [Hz].
        sample_rate: Rate of the result [Hz].
    """
    return _Resampler(source_rate, sample_rate)(samples, is_last=True)


def _open(source: BinaryIO) -> AbstractContextManager[_Stream]:
    decoder = formats.sniff(source)
    if missing := formats.missing_bytes(source):
        raise AudioTruncatedError(f"the file declares {missing} bytes more than it has")
    source.seek(0)
    if decoder == "soundfile":
        return closing(SoundFileStream(source))
    try:
        # PyAV is the optional extra `aac`.
        from service.audio.ffmpeg import AacStream
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


def _find_peak(block: Float32[np.ndarray, "frames channels"]) -> float:
    peak = max(float(block.max()), -float(block.min()))
    if not peak <= MAX_AMPLITUDE:  # also true of NaN
        raise AudioNotFiniteError(
            f"a sample has magnitude {peak:g}; samples must be finite and within "
            f"{MAX_AMPLITUDE:g} times full scale"
        )
    return peak


def _mix_down(block: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, " frames"]:
    mono: np.ndarray = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
    return mono


def _mark_last(
    blocks: Iterator[Float32[np.ndarray, "frames channels"]],
) -> Iterator[tuple[Float32[np.ndarray, "frames channels"], bool]]:
    """Yield each block and whether it is the last one."""
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        yield block, following is None
        block = following


class _Resampler:
    """Streaming resampler; its joined results equal resampling the whole clip at once."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._rates = rate_in, rate_out
        self._stream: soxr.ResampleStream | None = None

    def __call__(
        self, mono: Float32[np.ndarray, " frames"], *, is_last: bool
    ) -> Float32[np.ndarray, " samples"]:
        rate_in, rate_out = self._rates
        if rate_in == rate_out:
            return mono
        if is_last and self._stream is None:  # the same bits as from a stream, in less time
            whole: np.ndarray = soxr.resample(mono, rate_in, rate_out, RESAMPLER_QUALITY)
            return whole
        if self._stream is None:
            self._stream = soxr.ResampleStream(rate_in, rate_out, 1, "float32", RESAMPLER_QUALITY)
        chunk: np.ndarray = self._stream.resample_chunk(mono, last=is_last)
        return chunk
