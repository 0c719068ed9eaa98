"""Last step of every sound: the common level, background noise, and fades."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.spectrum import band, filtered, noise, tilt
from tools.demo_library.synthesis.timeline import SAMPLE_RATE, Samples, instants, n_samples, silence

ACTIVE_RMS = 10 ** (-23 / 20)
"""RMS of the active part of every finished sound."""

PEAK = 0.75
"""Largest magnitude before background noise is added; a lossy codec can exceed it too."""

KNEE = 0.4
"""Larger samples are compressed to stay below `PEAK`; only clicks and blows reach it."""

OVERSHOOT = 2.0
"""A sound that would exceed `PEAK` by this factor is scaled down as a whole."""

ACTIVE_RANGE = 10 ** (-25 / 20)
FRAME_S = 0.02
FADE_IN_S = 0.01
FADE_OUT_S = 0.08


def active_rms(samples: Samples) -> float:
    """Return the RMS over the frames of 20 ms that are at most 25 dB below the loudest one."""
    frame = n_samples(FRAME_S)
    power = np.mean(samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * ACTIVE_RANGE**2])))


def limited(samples: Samples) -> Samples:
    """Compress samples above `KNEE` smoothly towards `PEAK`, and leave the others unchanged."""
    excess = np.maximum(np.abs(samples) - KNEE, 0.0)
    room = PEAK - KNEE
    return np.clip(samples, -KNEE, KNEE) + np.sign(samples) * room * np.tanh(excess / room)


def finished(rng: np.random.Generator, samples: Samples, *, air_db: float) -> Samples:
    """Remove inaudible low frequencies, set the common level and fade both ends.

    Args:
        rng: Source of the randomness.
        samples: The sound.
        air_db: Level of the background noise, relative to the sound [dB].
    """
    padded = np.concatenate([samples, silence(0.25)])
    result = filtered(padded, band(30.0, SAMPLE_RATE, order=3.0))[: len(samples)]
    result *= min(ACTIVE_RMS / active_rms(result), OVERSHOOT * PEAK / np.abs(result).max())
    result = limited(result)
    seconds = len(result) / SAMPLE_RATE
    result += active_rms(result) * 10 ** (air_db / 20) * noise(rng, seconds, tilt(-4.0))
    times = instants(seconds)
    result *= np.clip(np.minimum(times / FADE_IN_S, (seconds - times) / FADE_OUT_S), 0.0, 1.0)
    return result
