"""Sounds of animals."""

from __future__ import annotations

from functools import partial

from tools.demo_library.sound import Sound
from tools.demo_library.synthesis import birds, insects, mammals

ANIMALS = (
    Sound(
        name="dog-large",
        kind="dog bark",
        title="Large dog",
        description="A large dog barks in the yard.",
        seconds=3.5,
        make=partial(mammals.dog, barks_s=(0.15, 0.6, 1.55, 2.0, 2.75), pitch_hz=310.0, tract=1.35),
        air_db=-34.0,
    ),
    Sound(
        name="dog-small",
        kind="dog bark",
        title="Small dog",
        description="A small dog barks without a pause.",
        seconds=3.5,
        make=partial(
            mammals.dog, barks_s=(0.1, 0.48, 0.87, 1.5, 1.86, 2.5, 2.9), pitch_hz=560.0, tract=0.95
        ),
        air_db=-36.0,
    ),
    Sound(
        name="cat-kitten",
        kind="cat",
        title="Hungry cat",
        description="A young cat mews for its food, twice.",
        seconds=3.5,
        make=partial(mammals.cat, meows=((0.15, 0.8), (1.6, 1.1)), pitch_hz=720.0),
        air_db=-40.0,
    ),
    Sound(
        name="cat-old",
        kind="cat",
        title="Tomcat",
        description="An old tomcat mews at length.",
        seconds=4.0,
        make=partial(mammals.cat, meows=((0.15, 1.3), (2.0, 1.5)), pitch_hz=640.0),
    ),
    Sound(
        name="crow-near",
        kind="crow",
        title="Crow",
        description="A crow caws four times.",
        seconds=3.5,
        make=partial(birds.crow, caws_s=(0.15, 0.8, 1.45, 2.6), pitch_hz=600.0),
        air_db=-22.0,
    ),
    Sound(
        name="crow-hoarse",
        kind="crow",
        title="Hoarse crow",
        description="A hoarse crow caws slowly.",
        seconds=3.5,
        make=partial(birds.crow, caws_s=(0.2, 1.15, 2.3), pitch_hz=430.0),
        air_db=-26.0,
    ),
    Sound(
        name="birds-garden",
        kind="birdsong",
        title="Garden bird",
        description="A small bird sings in a garden.",
        seconds=4.5,
        make=partial(birds.song, pitch_hz=4300.0, pace=1.0, pause_s=0.3),
        air_db=-32.0,
    ),
    Sound(
        name="birds-wood",
        kind="birdsong",
        title="Song in the wood",
        description="A bird sings slowly in the wood.",
        seconds=5.0,
        make=partial(birds.song, pitch_hz=3300.0, pace=0.75, pause_s=0.4),
        air_db=-30.0,
    ),
    Sound(
        name="crickets-one",
        kind="crickets",
        title="Field cricket",
        description="A single cricket chirps near by.",
        seconds=4.0,
        make=partial(insects.crickets, carriers_hz=(4500.0,), chirps_per_s=2.4, pulses=4),
    ),
    Sound(
        name="crickets-night",
        kind="crickets",
        title="Summer night",
        description="Many crickets chirp in the night.",
        seconds=4.0,
        make=partial(
            insects.crickets,
            carriers_hz=(4750.0, 4420.0, 4900.0, 4600.0, 5050.0),
            chirps_per_s=3.2,
            pulses=3,
        ),
    ),
)
