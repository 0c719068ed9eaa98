"""Rain, wind and thunder."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import (
    band,
    convolved,
    filtered,
    moving_noise,
    noise,
    peak,
    tilt,
)
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Samples,
    Values,
    decay,
    hits,
    instants,
    n_samples,
    random_times,
    silence,
    unit,
    wander,
)

SPEED_OF_SOUND = 343.0


def rain(
    rng: np.random.Generator,
    seconds: float,
    *,
    drops_per_s: float,
    surface_hz: float,
    hiss: float,
) -> Samples:
    """Return rain: a Poisson rain of small impacts over the hiss of the far drops.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        drops_per_s: Drops that are near enough to be heard one by one.
        surface_hz: Where the surface they fall on resonates [Hz].
        hiss: RMS of the hiss over that of the near drops.
    """
    near = silence(seconds)
    kinds = 9
    for spread in np.linspace(-1.3, 1.7, kinds):
        centre = surface_hz * 2**spread
        impact = noise(rng, 0.012, peak(centre, 0.8 * centre)) * decay(0.012, 0.014 / 2**spread)
        times = random_times(rng, seconds, per_s=drops_per_s / kinds)
        near += convolved(hits(seconds, times, rng.lognormal(0.0, 0.9, len(times))), impact)
    far = noise(rng, seconds, band(900.0, 9000.0, order=1.0)) + 0.5 * noise(rng, seconds, tilt(-5))
    far *= 1 + 0.12 * wander(rng, seconds, hz=1.5)
    return unit(near) + hiss * unit(far)


def wind(
    rng: np.random.Generator, seconds: float, *, howl_hz: float, howl: float, gusts_per_s: float
) -> Samples:
    """Return wind: turbulence that swells with the gusts and a howl that rises with them.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        howl_hz: Pitch of the howl between the gusts [Hz].
        howl: How loud the howl is beside the turbulence.
        gusts_per_s: How quickly the gusts follow each other.
    """
    gust = np.exp(0.35 * wander(rng, seconds, hz=2 * gusts_per_s))
    flutter = 0.15 * wander(rng, seconds, hz=9.0)
    times = instants(seconds)

    def gains(hz: Values, t: Values) -> Values:
        strength = np.interp(t, times, gust)
        turbulence = tilt(-9.0, from_hz=150.0)(hz)
        turbulence = turbulence + 0.1 * band(200.0, 400.0 + 400.0 * strength)(hz)
        centre = howl_hz * strength**0.45
        whistle = peak(centre, 0.10 * centre)(hz) ** 2 + 0.4 * peak(2.3 * centre, 0.2 * centre)(hz)
        return strength * turbulence + howl * strength**1.5 * whistle**1.5

    return moving_noise(rng, seconds, gains) * (1 + flutter)


def thunder(
    rng: np.random.Generator, seconds: float, *, distance_m: float, start_s: float
) -> Samples:
    """Return thunder of a crooked channel whose pieces are heard one after the other.

    Each piece of the channel sends a pressure wave in the shape of an N; the nearest ones make
    the clap, the far ones above the rumble. Air takes the high frequencies of the far ones.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        distance_m: Distance of the foot of the channel from the listener [m].
        start_s: When the first of it is heard [s].
    """
    pieces = 900
    steps = rng.standard_normal((pieces, 3)) * 9.0 + np.array([1.2, 0.0, 4.5])
    places = np.cumsum(steps, axis=0) + np.array([distance_m, 0.0, 0.0])
    away = np.linalg.norm(places, axis=1)
    arrival = start_s + (away - away.min()) / SPEED_OF_SOUND
    along = np.abs(np.sum(steps * places, axis=1)) / (np.linalg.norm(steps, axis=1) * away)
    loudness = (away.min() / away) ** 1.2 * (1.02 - along) * rng.lognormal(0.0, 0.7, pieces)
    total = silence(seconds)
    groups = 6
    for group in range(groups):
        some = np.arange(group, pieces, groups)
        length = 0.002 * 1.7**group * (0.6 + distance_m / 900.0)
        train = hits(seconds, arrival[some], loudness[some] / 1.15**group)
        total += convolved(train, np.linspace(1.0, -1.0, n_samples(length)))
    dull_hz = 1.5e6 / (distance_m + 120.0)
    total = filtered(total, band(1.0, dull_hz, order=1.5))
    roar = _roar(rng, np.abs(total), dull_hz=dull_hz, start_s=start_s)
    return echoing(rng, unit(total) + roar, t60_s=2.8, wet=1.6, bright_hz=500.0)


def _roar(rng: np.random.Generator, waves: Samples, *, dull_hz: float, start_s: float) -> Samples:
    """Return the turbulence that follows the loudness of the waves and gets duller with time."""
    smooth = convolved(waves, decay(0.5, 0.35))

    def gains(hz: Values, t: Values) -> Values:
        corner = np.maximum(dull_hz * np.exp(-1.3 * np.maximum(t - start_s, 0.0)), 90.0)
        return 1 / (1 + (hz / corner) ** 2) / (1 + (30.0 / np.maximum(hz, 1.0)) ** 2)

    roar = moving_noise(rng, len(waves) / SAMPLE_RATE, gains) * smooth
    return 1.3 * unit(roar)
