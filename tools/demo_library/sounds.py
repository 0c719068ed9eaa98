"""All sounds of the demo library by the names of their files, two or more of each kind."""

from __future__ import annotations

from functools import partial

from tools.demo_library.sound import Sound
from tools.demo_library.synthesis import (
    bells,
    birds,
    engines,
    fire,
    household,
    insects,
    mammals,
    people,
    piano,
    sea,
    signals,
    weather,
)

SOUNDS = {
    # Weather, sea and fire.
    "rain-shower": Sound(partial(weather.rain, drops_per_s=2600.0, surface_hz=2200.0, hiss=1.1)),
    "rain-window": Sound(partial(weather.rain, drops_per_s=350.0, surface_hz=2800.0, hiss=0.55)),
    "wind-house": Sound(partial(weather.wind, howl_hz=430.0, howl=0.6, gusts_per_s=0.6)),
    "wind-gusts": Sound(partial(weather.wind, howl_hz=300.0, howl=0.25, gusts_per_s=1.1)),
    "thunder-near": Sound(partial(weather.thunder, distance_m=450.0, start_s=0.15)),
    "thunder-far": Sound(partial(weather.thunder, distance_m=1300.0, start_s=0.6)),
    "sea-surf": Sound(partial(sea.waves, crests_s=(-2.4, 1.7, 6.5), bright_hz=4200.0, boom=1.2)),
    "sea-shore": Sound(
        partial(sea.waves, crests_s=(-0.9, 0.8, 2.9, 5.3), bright_hz=3000.0, boom=0.5)
    ),
    "fire-logs": Sound(partial(fire.fire, crackles_per_s=8.0, roar=0.55)),
    "fire-twigs": Sound(partial(fire.fire, crackles_per_s=16.0, roar=0.7)),
    # Animals.
    "dog-large": Sound(
        partial(mammals.dog, barks_s=(0.15, 0.6, 1.55, 2.0, 2.75), pitch_hz=310.0, tract=1.35),
        air_db=-34.0,
    ),
    "dog-small": Sound(
        partial(
            mammals.dog, barks_s=(0.1, 0.48, 0.87, 1.5, 1.86, 2.5, 2.9), pitch_hz=560.0, tract=0.95
        ),
        air_db=-36.0,
    ),
    "cat-kitten": Sound(
        partial(mammals.cat, meows=((0.15, 0.8), (1.6, 1.1)), pitch_hz=720.0), air_db=-40.0
    ),
    "cat-old": Sound(partial(mammals.cat, meows=((0.15, 1.3), (2.0, 1.5)), pitch_hz=640.0)),
    "crow-near": Sound(
        partial(birds.crow, caws_s=(0.15, 0.8, 1.45, 2.6), pitch_hz=600.0), air_db=-22.0
    ),
    "crow-hoarse": Sound(
        partial(birds.crow, caws_s=(0.2, 1.15, 2.3), pitch_hz=430.0), air_db=-26.0
    ),
    "birds-garden": Sound(
        partial(birds.song, pitch_hz=4300.0, pace=1.0, pause_s=0.3), air_db=-32.0
    ),
    "birds-wood": Sound(partial(birds.song, pitch_hz=3300.0, pace=0.75, pause_s=0.4), air_db=-30.0),
    "crickets-one": Sound(
        partial(insects.crickets, carriers_hz=(4500.0,), chirps_per_s=2.4, pulses=4)
    ),
    "crickets-night": Sound(
        partial(
            insects.crickets,
            carriers_hz=(4750.0, 4420.0, 4900.0, 4600.0, 5050.0),
            chirps_per_s=3.2,
            pulses=3,
        )
    ),
    # A town.
    "bell-large": Sound(partial(bells.church_bell, strokes=((0.1, 262.0), (2.6, 262.0)))),
    "bell-peal": Sound(
        partial(
            bells.church_bell,
            strokes=(
                (0.1, 392.0),
                (0.95, 330.0),
                (1.75, 392.0),
                (2.6, 330.0),
                (3.4, 392.0),
                (4.2, 330.0),
            ),
        )
    ),
    "steps-walk": Sound(
        partial(people.footsteps, steps_per_s=1.8, stone_hz=1500.0, heel=0.35), air_db=-24.0
    ),
    "steps-run": Sound(
        partial(people.footsteps, steps_per_s=2.8, stone_hz=1200.0, heel=0.6), air_db=-26.0
    ),
    "siren-wail": Sound(
        partial(signals.siren, low_hz=620.0, high_hz=1350.0, sweeps_per_s=0.42, passing=0.035)
    ),
    "siren-yelp": Sound(
        partial(signals.siren, low_hz=650.0, high_hz=1450.0, sweeps_per_s=2.6, passing=0.0)
    ),
    "horn-short": Sound(
        partial(signals.horn, blasts=((0.15, 0.28), (0.75, 1.3)), notes_hz=(415.0, 520.0))
    ),
    "horn-angry": Sound(
        partial(
            signals.horn, blasts=((0.1, 0.2), (0.42, 0.22), (0.9, 2.1)), notes_hz=(385.0, 485.0)
        )
    ),
    "helicopter-hover": Sound(
        partial(
            engines.helicopter,
            blades_per_s=14.5,
            turbine_hz=3900.0,
            nearness=((0.0, 1.0), (4.0, 1.0)),
        )
    ),
    "helicopter-pass": Sound(
        partial(
            engines.helicopter,
            blades_per_s=12.0,
            turbine_hz=3100.0,
            nearness=((0.0, 0.2), (2.2, 1.0), (3.0, 0.95), (5.0, 0.3)),
        )
    ),
    "engine-diesel": Sound(
        partial(engines.engine, rpm=((0.0, 780.0), (4.0, 800.0)), cylinders=4, clatter=0.6)
    ),
    "engine-rev": Sound(
        partial(
            engines.engine,
            rpm=(
                (0.0, 850.0),
                (0.9, 850.0),
                (1.5, 2600.0),
                (2.3, 1000.0),
                (2.8, 900.0),
                (3.3, 3000.0),
                (4.2, 1050.0),
                (5.0, 850.0),
            ),
            cylinders=4,
            clatter=0.4,
        )
    ),
    # Inside a house or a hall.
    "clock-mantel": Sound(partial(household.clock, beats_per_s=2.0, case_hz=560.0), air_db=-34.0),
    "clock-alarm": Sound(partial(household.clock, beats_per_s=4.0, case_hz=640.0), air_db=-32.0),
    "knock-polite": Sound(
        partial(household.knocks, knocks_s=(0.2, 0.43, 0.67, 1.95, 2.17, 2.4), panel_hz=155.0),
        air_db=-46.0,
    ),
    "knock-urgent": Sound(
        partial(
            household.knocks,
            knocks_s=(0.15, 0.3, 0.46, 0.61, 0.77, 1.5, 1.64, 1.79, 1.95, 2.1),
            panel_hz=190.0,
        ),
        air_db=-46.0,
    ),
    "applause-hall": Sound(partial(people.applause, people=60, hall_s=1.0, near=20)),
    "applause-room": Sound(partial(people.applause, people=24, hall_s=0.6, near=5)),
    "phone-hall": Sound(
        partial(bells.telephone, rings=((0.1, 1.3), (2.1, 1.3)), gong_hz=1050.0, strikes_per_s=24.0)
    ),
    "phone-desk": Sound(
        partial(
            bells.telephone,
            rings=((0.1, 0.75), (1.1, 0.75), (2.9, 0.75)),
            gong_hz=1300.0,
            strikes_per_s=20.0,
        )
    ),
    "vacuum-carpet": Sound(
        partial(household.vacuum_cleaner, motor_hz=290.0, start_s=0.0, strokes_per_s=0.7)
    ),
    "vacuum-start": Sound(
        partial(household.vacuum_cleaner, motor_hz=340.0, start_s=1.2, strokes_per_s=0.5)
    ),
    "piano-tune": Sound(
        partial(
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
        )
    ),
    "piano-chords": Sound(
        partial(
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
        )
    ),
}
