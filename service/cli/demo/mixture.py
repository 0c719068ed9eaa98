"""Mixtures of demo clips, made on the fly."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from service.audio.decoding import decode
from tools.demo_library.synthesis.timeline import SAMPLE_RATE

FULL_SCALE = 32_767


def write_mixture(path: Path, *, background: Path, added: Path) -> None:
    """Write a clip with another sound in it as 16-bit WAV, as long as the clip itself.

    Both keep their level, unless their sum would be beyond full scale.

    Args:
        path: The file to make.
        background: The clip that there was.
        added: The sound that is added, from the start.
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
