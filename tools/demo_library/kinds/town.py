"""Sounds of a town."""

from __future__ import annotations

from functools import partial

from tools.demo_library.sound import Sound
from tools.demo_library.synthesis import bells, engines, people, signals

TOWN = (
    Sound(
        name="bell-large",
        kind="church bell",
        title="Large bell",
        description="A large church bell tolls slowly.",
        seconds=5.0,
        make=partial(bells.church_bell, strokes=((0.1, 262.0), (2.6, 262.0))),
    ),
    Sound(
        name="bell-peal",
        kind="church bell",
        title="Two bells",
        description="Two church bells ring in turn.",
        seconds=5.0,
        make=partial(
            bells.church_bell,
            strokes=(
                (0.1, 392.0),
                (0.95, 330.0),
                (1.75, 392.0),
                (2.6, 330.0),
                (3.4, 392.0),
                (4.2, 330.0),
            ),
        ),
    ),
    Sound(
        name="steps-walk",
        kind="footsteps",
        title="Walking on gravel",
        description="Someone walks along a gravel path.",
        seconds=4.5,
        make=partial(people.footsteps, steps_per_s=1.8, stone_hz=1500.0, heel=0.35),
        air_db=-24.0,
    ),
    Sound(
        name="steps-run",
        kind="footsteps",
        title="Running on gravel",
        description="Someone runs over coarse gravel.",
        seconds=4.0,
        make=partial(people.footsteps, steps_per_s=2.8, stone_hz=1200.0, heel=0.6),
        air_db=-26.0,
    ),
    Sound(
        name="siren-wail",
        kind="siren",
        title="Wailing siren",
        description="A police car wails past.",
        seconds=5.0,
        make=partial(signals.siren, low_hz=620.0, high_hz=1350.0, sweeps_per_s=0.42, passing=0.035),
    ),
    Sound(
        name="siren-yelp",
        kind="siren",
        title="Yelping siren",
        description="An ambulance yelps in the street.",
        seconds=4.0,
        make=partial(signals.siren, low_hz=650.0, high_hz=1450.0, sweeps_per_s=2.6, passing=0.0),
    ),
    Sound(
        name="horn-short",
        kind="car horn",
        title="Two hoots",
        description="A car hoots briefly, then longer.",
        seconds=3.0,
        make=partial(signals.horn, blasts=((0.15, 0.28), (0.75, 1.3)), notes_hz=(415.0, 520.0)),
    ),
    Sound(
        name="horn-angry",
        kind="car horn",
        title="Impatient driver",
        description="A driver leans on a small car's horn.",
        seconds=3.5,
        make=partial(
            signals.horn, blasts=((0.1, 0.2), (0.42, 0.22), (0.9, 2.1)), notes_hz=(385.0, 485.0)
        ),
    ),
    Sound(
        name="helicopter-hover",
        kind="helicopter",
        title="Hovering helicopter",
        description="A helicopter hovers above.",
        seconds=4.0,
        make=partial(
            engines.helicopter,
            blades_per_s=14.5,
            turbine_hz=3900.0,
            nearness=((0.0, 1.0), (4.0, 1.0)),
        ),
    ),
    Sound(
        name="helicopter-pass",
        kind="helicopter",
        title="Passing helicopter",
        description="A helicopter flies over.",
        seconds=5.0,
        make=partial(
            engines.helicopter,
            blades_per_s=12.0,
            turbine_hz=3100.0,
            nearness=((0.0, 0.2), (2.2, 1.0), (3.0, 0.95), (5.0, 0.3)),
        ),
    ),
    Sound(
        name="engine-diesel",
        kind="engine",
        title="Diesel van",
        description="A diesel van idles at the kerb.",
        seconds=4.0,
        make=partial(engines.engine, rpm=((0.0, 780.0), (4.0, 800.0)), cylinders=4, clatter=0.6),
    ),
    Sound(
        name="engine-rev",
        kind="engine",
        title="Revving car",
        description="A car idles and is revved twice.",
        seconds=5.0,
        make=partial(
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
        ),
    ),
)
