"""The clips that the benchmarks send: noise, so that no two are the same."""

from __future__ import annotations

import io
import wave

import numpy as np

SAMPLE_RATE_HZ = 44_100


def make_clips(
    n_clips: int, duration_s: float, *, seed: int = 0, rate_hz: int = SAMPLE_RATE_HZ
) -> list[bytes]:
    """Make mono 16-bit WAV files."""
    generator = np.random.default_rng(seed)
    n_samples = round(duration_s * rate_hz)
    return [
        write_wav(generator.integers(-3000, 3000, n_samples, dtype=np.int16), rate_hz)
        for _ in range(n_clips)
    ]


def write_wav(samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """Write mono 16-bit samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())
    return file.getvalue()
