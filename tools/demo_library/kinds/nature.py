"""Sounds of weather, sea and fire."""

from __future__ import annotations

from functools import partial

from tools.demo_library.sound import Sound
from tools.demo_library.synthesis import fire, sea, weather

NATURE = (
    Sound(
        name="rain-shower",
        kind="rain",
        title="Heavy shower",
        description="A heavy shower on leaves and wet ground.",
        seconds=4.0,
        make=partial(weather.rain, drops_per_s=2600.0, surface_hz=2200.0, hiss=1.1),
    ),
    Sound(
        name="rain-window",
        kind="rain",
        title="Rain on a window",
        description="Single drops of light rain on a window.",
        seconds=4.5,
        make=partial(weather.rain, drops_per_s=350.0, surface_hz=2800.0, hiss=0.55),
    ),
    Sound(
        name="wind-house",
        kind="wind",
        title="Wind around a house",
        description="Wind howls around the corner of a house.",
        seconds=4.5,
        make=partial(weather.wind, howl_hz=430.0, howl=0.6, gusts_per_s=0.6),
    ),
    Sound(
        name="wind-gusts",
        kind="wind",
        title="Gusts",
        description="Gusts of wind over an open field.",
        seconds=4.5,
        make=partial(weather.wind, howl_hz=300.0, howl=0.25, gusts_per_s=1.1),
    ),
    Sound(
        name="thunder-near",
        kind="thunder",
        title="Thunderclap",
        description="A flash strikes near by and rumbles away.",
        seconds=4.5,
        make=partial(weather.thunder, distance_m=450.0, start_s=0.15),
    ),
    Sound(
        name="thunder-far",
        kind="thunder",
        title="Rolling thunder",
        description="Thunder rolls behind the hills.",
        seconds=4.5,
        make=partial(weather.thunder, distance_m=1300.0, start_s=0.6),
    ),
    Sound(
        name="sea-surf",
        kind="sea waves",
        title="Surf",
        description="A breaker falls on the beach and drains away.",
        seconds=5.0,
        make=partial(sea.waves, crests_s=(-2.4, 1.7, 6.5), bright_hz=4200.0, boom=1.2),
    ),
    Sound(
        name="sea-shore",
        kind="sea waves",
        title="Calm shore",
        description="Small waves run up a calm shore.",
        seconds=4.5,
        make=partial(sea.waves, crests_s=(-0.9, 0.8, 2.9, 5.3), bright_hz=3000.0, boom=0.5),
    ),
    Sound(
        name="fire-logs",
        kind="crackling fire",
        title="Log fire",
        description="Logs crackle and pop in the hearth.",
        seconds=4.0,
        make=partial(fire.fire, crackles_per_s=8.0, roar=0.55),
    ),
    Sound(
        name="fire-twigs",
        kind="crackling fire",
        title="Camp fire",
        description="Dry twigs crackle in a camp fire.",
        seconds=4.0,
        make=partial(fire.fire, crackles_per_s=16.0, roar=0.7),
    ),
)
