"""Write sounds as 16-bit WAV files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16

FULL_SCALE = 32767.0


def quantise(samples: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Round to 16 bits; full scale is 1, and what exceeds it is clipped."""
    quantised: np.ndarray = np.rint(samples.clip(-1.0, 1.0) * FULL_SCALE).astype("<i2")
    return quantised


def write_wav(path: Path, samples: Int16[np.ndarray, " samples"], sample_rate: int) -> None:
    """Write a mono file; its folder must be there.

    Args:
        path: Of the file.
        samples: 16-bit, little-endian.
        sample_rate: To put into the header [Hz].
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
