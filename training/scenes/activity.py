"""Active part of a recorded event, as APwD trims it (docs/method.md, "Sources and preparation")."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import signal

# Length of the window that smooths the envelope: 512 samples at 44.1 kHz [s].
SMOOTHING_S = 512 / 44_100
ACTIVE_SHARE = 0.1


def active_part(clip: Float32[np.ndarray, " samples"], sample_rate: int) -> tuple[int, int] | None:
    """Find where an event is active: its smoothed envelope exceeds a tenth of its maximum.

    Returns:
        The first active sample and the one after the last; None for silence.
    """
    window = signal.windows.hann(round(SMOOTHING_S * sample_rate))
    envelope = signal.oaconvolve(np.abs(clip), window, mode="same")
    peak = float(envelope.max())
    if not np.any(clip):
        return None
    (active,) = np.nonzero(envelope > ACTIVE_SHARE * peak)
    return int(active[0]), int(active[-1]) + 1
