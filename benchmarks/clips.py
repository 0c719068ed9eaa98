"""The clips that the benchmarks send: noise, so that no two are the same."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np

SAMPLE_RATE_HZ = 44_100
N_CLIPS = 48


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


def make_mixed_clips(durations_s: Sequence[float], *, rate_hz: int = SAMPLE_RATE_HZ) -> list[bytes]:
    """Make about `N_CLIPS` files of several lengths, which alternate."""
    n = max(1, N_CLIPS // len(durations_s))
    by_length = [make_clips(n, s, seed=i, rate_hz=rate_hz) for i, s in enumerate(durations_s)]
    return [clip for group in zip(*by_length, strict=True) for clip in group]


def write_wav(samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """Write mono 16-bit samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())
    return file.getvalue()
