"""Mixtures of two clips."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from service.audio.decoding import decode

SAMPLE_RATE = 24_000
"""Sample rate of the demo clips and of a mixture [Hz]."""

FULL_SCALE = 32_767


def write_mixture(path: Path, *, background: Path, added: Path) -> None:
    """Write the sum of two clips as 16-bit WAV, with the length of the background.

    The levels of both are kept, unless their sum exceeds full scale.

    Args:
        path: The file to write.
        background: The first clip.
        added: The second clip; it begins with the first and is cut to its length.
    """
    mixture, sound = (decode(file, sample_rate=SAMPLE_RATE).samples for file in (background, added))
    n_samples = min(mixture.size, sound.size)
    mixture[:n_samples] += sound[:n_samples]
    mixture /= max(1.0, float(np.abs(mixture).max()))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(mixture * FULL_SCALE).astype("<i2").tobytes())
