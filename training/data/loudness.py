"""Loudness, levels and fades, as Scaper computes them.

See docs/method.md, "Loudness, levels and fades".
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyloudnorm
from jaxtyping import Float32

FLOOR_LUFS = -70.0  # the absolute gate of ITU-R BS.1770; the result for silence
SHORTEST_S = 0.5  # a shorter sound is repeated until it is this long
FADE_S = 0.01


def loudness(samples: Float32[np.ndarray, " samples"], sample_rate: int) -> float:
    """Measure the integrated loudness of a mono sound [LUFS], at least -70 (ITU-R BS.1770).

    The K-weighted mean square over gated blocks of 400 ms; silence around a short event counts
    little.

    Args:
        samples: Full scale 1.
        sample_rate: Rate of the samples [Hz].

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
    """Convert a gain [dB] to a factor."""
    return float(10.0 ** (gain_db / 20.0))


def gain(samples: Float32[np.ndarray, " samples"], level_lufs: float, sample_rate: int) -> float:
    """Return the factor that brings a sound to a loudness [LUFS]."""
    return amplitude(level_lufs - loudness(samples, sample_rate))


def fade(
    samples: Float32[np.ndarray, " samples"], sample_rate: int, *, power: int = 1
) -> Float32[np.ndarray, " samples"]:
    """Fade a sound in and out along a quarter of a sine: 10 ms each, or half of a shorter sound.

    Args:
        samples: Full scale 1.
        sample_rate: Rate of the samples [Hz].
        power: Exponent of the sine; 2 gives the ramp of a Hann window.
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
