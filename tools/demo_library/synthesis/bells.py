"""Church bells and the bell of an old telephone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Mode, struck
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise
from tools.demo_library.synthesis.timeline import Samples, decay, place, silence

# Partials of a tuned minor-third bell: hum, prime, tierce, quint, nominal and upper partials.
# Each is its frequency over the prime, its decay time over that of the hum, and its gain.
BELL = (
    (0.500, 1.00, 0.55),
    (1.000, 0.70, 0.60),
    (1.190, 0.55, 0.80),
    (1.506, 0.35, 0.35),
    (2.000, 0.50, 1.00),
    (2.514, 0.32, 0.45),
    (2.662, 0.30, 0.40),
    (3.011, 0.28, 0.60),
    (4.166, 0.20, 0.45),
    (5.433, 0.15, 0.30),
    (6.796, 0.10, 0.20),
    (8.215, 0.07, 0.12),
)

GONG = (
    (1.00, 0.90, 0.6),
    (2.42, 0.60, 1.0),
    (4.15, 0.35, 0.8),
    (6.20, 0.20, 0.5),
    (8.50, 0.12, 0.3),
)


def church_bell(
    rng: np.random.Generator, seconds: float, *, strokes: Sequence[tuple[float, float]]
) -> Samples:
    """Return church bells.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        strokes: Time of each stroke [s] and the prime of its bell [Hz].
    """
    canvas = silence(seconds)
    bells = {prime_hz: _toll(rng, prime_hz, seconds) for prime_hz in {hz: 0 for _, hz in strokes}}
    for at, prime_hz in strokes:
        place(canvas, bells[prime_hz], at_s=at, gain=rng.uniform(0.85, 1.0))
    return echoing(rng, canvas, t60_s=1.6, wet=0.2, bright_hz=3000.0)


def _toll(rng: np.random.Generator, prime_hz: float, seconds: float) -> Samples:
    """Return one stroke. Each partial is a pair of modes slightly out of tune, so that it beats."""
    longest = 14.0 * (300.0 / prime_hz) ** 0.6
    modes = []
    for ratio, lasting, gain in BELL:
        hz, split = ratio * prime_hz, rng.uniform(0.2, 0.9)
        modes.append(Mode(hz - split, longest * lasting, 0.65 * gain))
        modes.append(Mode(hz + split, longest * lasting, 0.35 * gain))
    clang = noise(rng, seconds, band(1500.0, 7000.0)) * decay(seconds, 0.06)
    return struck(modes, seconds) + 0.25 * clang


def telephone(
    rng: np.random.Generator,
    seconds: float,
    *,
    rings: Sequence[tuple[float, float]],
    gong_hz: float,
    strikes_per_s: float,
) -> Samples:
    """Return an old telephone: a clapper that swings between two small gongs.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        rings: Start and duration of each ring [s].
        gong_hz: Lowest partial of the first gong [Hz]; the second is a third higher.
        strikes_per_s: Strikes of the clapper.
    """
    canvas = silence(seconds)
    gongs = [
        struck([Mode(pitch * ratio, 1.3 * t60, gain) for ratio, t60, gain in GONG], 1.2)
        for pitch in (gong_hz, 1.24 * gong_hz)
    ]
    for start, length in rings:
        for k in range(int(length * strikes_per_s)):
            at = start + (k + rng.normal(0.0, 0.04)) / strikes_per_s
            place(canvas, gongs[k % 2], at_s=at, gain=rng.uniform(0.8, 1.0))
            click = noise(rng, 0.006, band(2500.0, 9000.0)) * decay(0.006, 0.006)
            place(canvas, click, at_s=at, gain=0.5)
    return echoing(rng, canvas, t60_s=0.4, wet=0.1)
