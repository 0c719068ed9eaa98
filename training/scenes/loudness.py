"""Loudness as Scaper sets it (facts, section 6.2), and the parts of a sound it is measured on."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyloudnorm
from jaxtyping import Float32
from scipy import signal

# Below this ITU-R BS.1770 gates everything away; a gain never counts on a quieter sound [LUFS].
FLOOR_LUFS = -70.0
# A shorter excerpt is repeated up to this for measuring [s]: one block of the gate is 0.4 s.
SHORTEST_S = 0.5
# Smooths the envelope of an event: 512 samples at 44.1 kHz [s].
SMOOTHING_S = 512 / 44_100
ACTIVE_SHARE = 0.1
FADE_S = 0.01


def loudness(sound: Float32[np.ndarray, " samples"], sample_rate: int) -> float:
    """Measure the integrated loudness of a mono sound [LUFS], at least `FLOOR_LUFS`.

    ITU-R BS.1770: K-weighted, in blocks of 400 ms, those below -70 LUFS and those 10 LU below
    the rest left out, so that the silence around an event hardly counts.

    Args:
        sound: Waveform of at least one sample.
        sample_rate: Its rate [Hz].
    """
    shortest = int(SHORTEST_S * sample_rate)
    if sound.size < shortest:
        sound = np.tile(sound, -(-shortest // sound.size))
    return max(float(_meter(sample_rate).integrated_loudness(sound)), FLOOR_LUFS)


def gain(sound: Float32[np.ndarray, " samples"], level_lufs: float, sample_rate: int) -> float:
    """Return the factor that brings a sound to a loudness."""
    return float(10.0 ** ((level_lufs - loudness(sound, sample_rate)) / 20.0))


def active_part(sound: Float32[np.ndarray, " samples"], sample_rate: int) -> tuple[int, int] | None:
    """Find where an event is active: its smoothed envelope over a tenth of the highest value.

    Returns:
        The first active sample and the one after the last; None for silence.
    """
    window = signal.windows.hann(round(SMOOTHING_S * sample_rate))
    envelope = signal.oaconvolve(np.abs(sound), window, mode="same")
    peak = float(envelope.max())
    if not np.any(sound):
        return None
    (active,) = np.nonzero(envelope > ACTIVE_SHARE * peak)
    return int(active[0]), int(active[-1]) + 1


def fade(
    sound: Float32[np.ndarray, " samples"], sample_rate: int, *, power: int = 1
) -> Float32[np.ndarray, " samples"]:
    """Fade a sound in and out over 10 ms each, or over its half if it is shorter.

    Args:
        sound: Waveform.
        sample_rate: Its rate [Hz].
        power: Of the sine that is the ramp; 2 makes it a Hann window's.
    """
    n_samples = min(round(FADE_S * sample_rate), sound.size // 2)
    ramp = np.sin(np.linspace(0.0, np.pi / 2, n_samples)).astype(np.float32) ** power
    faded = sound.copy()
    faded[:n_samples] *= ramp
    faded[sound.size - n_samples :] *= ramp[::-1]
    return faded


@cache
def _meter(sample_rate: int) -> pyloudnorm.Meter:
    return pyloudnorm.Meter(sample_rate)
