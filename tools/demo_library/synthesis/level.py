"""The last step of every sound: the common level, the noise of the place and soft ends."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.spectrum import band, filtered, noise, tilt
from tools.demo_library.synthesis.timeline import SAMPLE_RATE, Samples, instants, n_samples, silence

ACTIVE_RMS = 10 ** (-23 / 20)
"""RMS of the active part of every finished sound."""

PEAK = 0.75
"""No finished sound goes beyond but for the noise of the place; a lossy codec adds to it."""

KNEE = 0.4
"""Samples beyond are bent, so that they end below `PEAK`; only clicks and blows get there."""

OVERSHOOT = 2.0
"""A sound that would go beyond this many times `PEAK` is turned down as a whole."""

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
    """Return samples as they are up to `KNEE`, and bent smoothly towards `PEAK` beyond it."""
    beyond = np.maximum(np.abs(samples) - KNEE, 0.0)
    room = PEAK - KNEE
    return np.clip(samples, -KNEE, KNEE) + np.sign(samples) * room * np.tanh(beyond / room)


def finished(rng: np.random.Generator, samples: Samples, *, air_db: float) -> Samples:
    """Return a sound without rumble below hearing, at the common level, faded at both ends.

    Args:
        rng: Source of the randomness.
        samples: The sound.
        air_db: Level of the noise of the place under the sound, relative to it [dB].
    """
    padded = np.concatenate([samples, silence(0.25)])
    heard = filtered(padded, band(30.0, SAMPLE_RATE, order=3.0))[: len(samples)]
    heard *= min(ACTIVE_RMS / active_rms(heard), OVERSHOOT * PEAK / np.abs(heard).max())
    heard = limited(heard)
    seconds = len(heard) / SAMPLE_RATE
    heard += active_rms(heard) * 10 ** (air_db / 20) * noise(rng, seconds, tilt(-4.0))
    times = instants(seconds)
    heard *= np.clip(np.minimum(times / FADE_IN_S, (seconds - times) / FADE_OUT_S), 0.0, 1.0)
    return heard
