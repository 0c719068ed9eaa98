"""Reverberation."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.spectrum import band, convolved, noise
from tools.demo_library.synthesis.timeline import Samples, decay, n_samples


def echoing(
    rng: np.random.Generator, dry: Samples, *, t60_s: float, wet: float, bright_hz: float = 5000.0
) -> Samples:
    """Add reverberation to a sound: exponentially decaying noise.

    Args:
        rng: Source of the randomness.
        dry: The sound.
        t60_s: Time in which the reverberation falls by 60 dB [s].
        wet: Energy of the reverberation over that of the sound itself.
        bright_hz: Upper corner of the reverberation [Hz].
    """
    tail = noise(rng, t60_s, band(150.0, bright_hz, order=1.5)) * decay(t60_s, t60_s)
    tail[: n_samples(0.004)] = 0.0
    tail *= np.sqrt(wet / np.sum(tail**2))
    return dry + convolved(dry, tail)
