"""Sounds inside a house or a hall."""

from __future__ import annotations

from functools import partial

from tools.demo_library.sound import Sound
from tools.demo_library.synthesis import bells, household, people, piano

INDOORS = (
    Sound(
        name="clock-mantel",
        kind="clock tick",
        title="Mantel clock",
        description="A mantel clock ticks slowly.",
        seconds=4.0,
        make=partial(household.clock, beats_per_s=2.0, case_hz=560.0),
        air_db=-34.0,
    ),
    Sound(
        name="clock-alarm",
        kind="clock tick",
        title="Alarm clock",
        description="A small alarm clock ticks quickly.",
        seconds=3.5,
        make=partial(household.clock, beats_per_s=4.0, case_hz=640.0),
        air_db=-32.0,
    ),
    Sound(
        name="knock-polite",
        kind="door knock",
        title="Three knocks",
        description="Someone knocks, waits and knocks again.",
        seconds=3.5,
        make=partial(household.knocks, knocks_s=(0.2, 0.43, 0.67, 1.95, 2.17, 2.4), panel_hz=155.0),
        air_db=-46.0,
    ),
    Sound(
        name="knock-urgent",
        kind="door knock",
        title="Urgent knocking",
        description="Someone knocks hard and quickly.",
        seconds=3.0,
        make=partial(
            household.knocks,
            knocks_s=(0.15, 0.3, 0.46, 0.61, 0.77, 1.5, 1.64, 1.79, 1.95, 2.1),
            panel_hz=190.0,
        ),
        air_db=-46.0,
    ),
    Sound(
        name="applause-hall",
        kind="applause",
        title="Concert hall",
        description="A full concert hall applauds.",
        seconds=4.0,
        make=partial(people.applause, people=60, hall_s=1.0, near=20),
    ),
    Sound(
        name="applause-room",
        kind="applause",
        title="Small audience",
        description="A small audience claps in a room.",
        seconds=4.0,
        make=partial(people.applause, people=24, hall_s=0.6, near=5),
    ),
    Sound(
        name="phone-hall",
        kind="telephone",
        title="Old telephone",
        description="An old telephone rings in the hall.",
        seconds=4.0,
        make=partial(
            bells.telephone, rings=((0.1, 1.3), (2.1, 1.3)), gong_hz=1050.0, strikes_per_s=24.0
        ),
    ),
    Sound(
        name="phone-desk",
        kind="telephone",
        title="Desk telephone",
        description="A small telephone rings on a desk.",
        seconds=4.0,
        make=partial(
            bells.telephone,
            rings=((0.1, 0.75), (1.1, 0.75), (2.9, 0.75)),
            gong_hz=1300.0,
            strikes_per_s=20.0,
        ),
    ),
    Sound(
        name="vacuum-carpet",
        kind="vacuum cleaner",
        title="Cleaning a carpet",
        description="A carpet is vacuumed.",
        seconds=4.0,
        make=partial(household.vacuum_cleaner, motor_hz=290.0, start_s=0.0, strokes_per_s=0.7),
    ),
    Sound(
        name="vacuum-start",
        kind="vacuum cleaner",
        title="Switched on",
        description="A vacuum cleaner is switched on.",
        seconds=4.5,
        make=partial(household.vacuum_cleaner, motor_hz=340.0, start_s=1.2, strokes_per_s=0.5),
    ),
    Sound(
        name="piano-tune",
        kind="piano",
        title="Piano tune",
        description="A simple tune on a piano.",
        seconds=4.5,
        make=partial(
            piano.piano,
            notes=(
                (0.05, 0.5, 64),
                (0.5, 0.5, 67),
                (0.95, 0.5, 72),
                (1.4, 0.9, 71),
                (2.3, 0.45, 69),
                (2.75, 0.45, 67),
                (3.2, 1.3, 64),
                (0.05, 1.3, 48),
                (1.4, 0.9, 55),
                (2.3, 0.9, 53),
                (3.2, 1.3, 48),
            ),
        ),
    ),
    Sound(
        name="piano-chords",
        kind="piano",
        title="Piano chords",
        description="Slow chords on a piano.",
        seconds=5.0,
        make=partial(
            piano.piano,
            notes=tuple(
                (
                    (0.05 + 1.2 * i, 1.2, midi)
                    for i, chord in enumerate(
                        ((45, 57, 60, 64), (41, 57, 60, 65), (48, 55, 60, 64), (43, 55, 59, 62))
                    )
                    for midi in chord
                )
            ),
        ),
    ),
)
