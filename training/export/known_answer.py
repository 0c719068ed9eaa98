"""The clip of the known answer: a bundle stores it with its embedding, to check encoders."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from training.model.frontend import SAMPLE_RATE

SECONDS = 3.0


def make_known_clip() -> Float32[np.ndarray, " samples"]:
    """Make three seconds of sound at all frequencies: a sweep, noise bursts and clicks."""
    time = np.arange(int(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    sweep = 0.3 * np.sin(2.0 * np.pi * (100.0 * time + 1_100.0 * time**2))
    noise = 0.1 * np.random.default_rng(20_230_921).standard_normal(time.size)
    bursts = noise * (np.sin(2.0 * np.pi * 1.5 * time) > 0.6)
    clicks = 0.5 * (np.arange(time.size) % 4_000 == 0)
    clip: np.ndarray = (sweep + bursts + clicks).astype(np.float32)
    return clip
