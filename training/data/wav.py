"""16-bit samples, and WAV files of them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16

FULL_SCALE = 32767.0


def to_int16(samples: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Round samples of full scale 1 to 16 bits, little-endian; clip larger ones."""
    rounded: np.ndarray = np.rint(samples.clip(-1.0, 1.0) * FULL_SCALE).astype("<i2")
    return rounded


def write_wav(path: Path, samples: Int16[np.ndarray, " samples"], sample_rate: int) -> None:
    """Write a mono file; its folder must exist.

    Args:
        path: Path of the file.
        samples: 16-bit, little-endian.
        sample_rate: Rate for the header [Hz].
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
