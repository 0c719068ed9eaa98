"""Sounds for tests, made from formulas and seeds; the repository has no audio files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import soundfile
from jaxtyping import Float32

SAMPLE_RATE = 16_000

# A long write to Ogg crashes libsndfile 1.2.2; short ones do not.
_WRITE_FRAMES = 4096


def tone(
    frequency_hz: float,
    duration_s: float = 1.0,
    *,
    amplitude: float = 0.5,
    sample_rate: int = 16_000,
) -> Float32[np.ndarray, " samples"]:
    """Make a sine."""
    times = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def chirp(
    start_hz: float, end_hz: float, duration_s: float = 1.0, *, sample_rate: int = 16_000
) -> Float32[np.ndarray, " samples"]:
    """Make a linear sweep of amplitude 0.5."""
    times = np.arange(round(duration_s * sample_rate)) / sample_rate
    phase = start_hz * times + (end_hz - start_hz) * times**2 / (2 * duration_s)
    return (0.5 * np.sin(2 * np.pi * phase)).astype(np.float32)


def noise(
    seed: int, duration_s: float = 1.0, *, amplitude: float = 0.1, sample_rate: int = 16_000
) -> Float32[np.ndarray, " samples"]:
    """Make white noise of the given standard deviation, within -1 to 1."""
    generator = np.random.default_rng(seed)
    samples = generator.standard_normal(round(duration_s * sample_rate)) * amplitude
    return np.clip(samples, -1, 1).astype(np.float32)


def impulses(
    rate_hz: float, duration_s: float = 1.0, *, sample_rate: int = 16_000
) -> Float32[np.ndarray, " samples"]:
    """Make a train of unit impulses, the first at 0."""
    samples = np.zeros(round(duration_s * sample_rate), np.float32)
    samples[:: round(sample_rate / rate_hz)] = 1.0
    return samples


def silence(
    duration_s: float = 1.0, *, sample_rate: int = 16_000
) -> Float32[np.ndarray, " samples"]:
    """Make digital silence."""
    return np.zeros(round(duration_s * sample_rate), np.float32)


def encode(
    samples: np.ndarray, *, sample_rate: int = 16_000, form: str = "WAV", subtype: str | None = None
) -> bytes:
    """Encode [samples] or [samples channels] as the bytes of a file.

    Args:
        samples: Samples; integers are written unchanged.
        sample_rate: Sample rate in the header [Hz].
        form: Container, by its name in soundfile: WAV, FLAC, OGG, MP3 ...
        subtype: Codec, by its name in soundfile; the default of the container if None.
    """
    channels = samples.shape[1] if samples.ndim == 2 else 1
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", sample_rate, channels, subtype, format=form, closefd=False
    ) as sound:
        for start in range(0, len(samples), _WRITE_FRAMES):
            sound.write(samples[start : start + _WRITE_FRAMES])
    return file.getvalue()


def encode_aac(
    samples: Float32[np.ndarray, "samples channels"],
    *,
    sample_rate: int = 16_000,
    form: str = "mp4",
    codec: str = "aac",
) -> bytes:
    """Encode formats that soundfile does not write; needs PyAV.

    Args:
        samples: Samples of 1, 2, 6 or 8 channels.
        sample_rate: Sample rate in the header [Hz].
        form: Container, by its name in FFmpeg: mp4 or adts.
        codec: Codec, by its name in FFmpeg.
    """
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        added = container.add_stream(codec, rate=sample_rate, layout=layout)
        stream = cast(av.AudioStream, added)
        frame_samples = 576 if codec == "libmp3lame" else 1024
        split = av.AudioResampler(stream.format, layout, sample_rate, frame_size=frame_samples)
        interleaved = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate = sample_rate
        for part in [*split.resample(frame), *split.resample(None), None]:
            container.mux(stream.encode(part))
    return file.getvalue()


def write(
    path: Path, samples: np.ndarray, *, sample_rate: int = 16_000, subtype: str | None = None
) -> Path:
    """Write a file in the container of its suffix, and return its path."""
    form = {"opus": "OGG", "oga": "OGG"}.get(path.suffix[1:], path.suffix[1:].upper())
    codec = "OPUS" if path.suffix == ".opus" else subtype
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(samples, sample_rate=sample_rate, form=form, subtype=codec))
    return path
