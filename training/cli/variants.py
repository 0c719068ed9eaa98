"""``minuend-train variants``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell


@click.command("variants")
@click.argument("bundle", type=PLACE)
@click.option("--data", type=PLACE, required=True, help="Data that the encoder was trained on.")
@click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
@click.option("--bgknown", type=PLACE, help="Data set of 'data bgknown', for the gate, too.")
@click.option("--graph", is_flag=True, help="Write the float32 graph again, too.")
@json_option
def command(
    bundle: Path, data: Path, cache: Path, bgknown: Path | None, graph: bool, as_json: bool
) -> None:
    """Make the int8 and float16 variants of a bundle; those that pass the gate are added.

    They are calibrated on training clips and compared with float32 on held-out clips.
    """
    from training.data.clips import TrainingData
    from training.export.renew import renew_variants
    from training.scorers import bgknown_scorer

    scorers = [] if bgknown is None else [bgknown_scorer(bgknown)]
    outcomes = renew_variants(bundle, TrainingData(data, cache), graph=graph, scorers=scorers)
    tell({"variants": [outcome.line() for outcome in outcomes]}, as_json=as_json)
