"""The clips that the benchmarks of serving send: noise, so that no two are alike."""

from __future__ import annotations

import io
import wave

import numpy as np

SAMPLE_RATE_HZ = 44_100


def make_clips(n_clips: int, duration_s: float, *, seed: int = 0) -> list[bytes]:
    """Make mono 16-bit WAV files at 44.1 kHz."""
    generator = np.random.default_rng(seed)
    n_samples = round(duration_s * SAMPLE_RATE_HZ)
    return [
        write_wav(generator.integers(-3000, 3000, n_samples, dtype=np.int16))
        for _ in range(n_clips)
    ]


def write_wav(samples: np.ndarray) -> bytes:
    """Write mono 16-bit samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(samples.tobytes())
    return file.getvalue()
