"""Loudness after ITU-R BS.1770, and levels and fades, as Scaper has them (facts, section 6.2)."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyloudnorm
from jaxtyping import Float32

FLOOR_LUFS = -70.0  # what silence measures: the absolute gate of the standard
SHORTEST_S = 0.5  # a shorter excerpt is repeated until it is this long
FADE_S = 0.01


def loudness(samples: Float32[np.ndarray, " samples"], sample_rate: int) -> float:
    """Measure the integrated loudness of a mono sound [LUFS], at least -70.

    K-weighted mean square over gated blocks of 400 ms, so silence around a short event counts
    little.

    Args:
        samples: Full scale 1.
        sample_rate: Of the samples [Hz].

    Raises:
        ValueError: There are no samples.
    """
    if samples.size == 0:
        raise ValueError("the loudness of no samples was asked for")
    repeats = math.ceil(SHORTEST_S * sample_rate / samples.size)
    sound = np.tile(samples.astype(np.float64), repeats)
    measured = _meter(sample_rate).integrated_loudness(sound)
    return max(float(measured), FLOOR_LUFS)


def amplitude(gain_db: float) -> float:
    """Turn a gain [dB] into the factor of the samples."""
    return float(10.0 ** (gain_db / 20.0))


def gain(samples: Float32[np.ndarray, " samples"], level_lufs: float, sample_rate: int) -> float:
    """Return the factor that brings a sound to a loudness."""
    return amplitude(level_lufs - loudness(samples, sample_rate))


def fade(
    samples: Float32[np.ndarray, " samples"], sample_rate: int, *, power: int = 1
) -> Float32[np.ndarray, " samples"]:
    """Fade a sound in and out along a quarter of a sine, 10 ms each or half of a shorter one.

    Args:
        samples: Full scale 1.
        sample_rate: Of the samples [Hz].
        power: Of the sine that is the ramp; 2 makes it a Hann window's.
    """
    n = min(round(FADE_S * sample_rate), samples.size // 2)
    ramp = np.sin(np.linspace(0.0, np.pi / 2, n)).astype(np.float32) ** power
    faded = samples.copy()
    faded[:n] *= ramp
    faded[samples.size - n :] *= ramp[::-1]
    return faded


@cache
def _meter(sample_rate: int) -> pyloudnorm.Meter:
    return pyloudnorm.Meter(sample_rate)
