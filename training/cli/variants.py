"""``minuend-train variants`` and ``renew``: parts of a bundle that are made again."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import CACHE, PLACE, prints_result


@click.command("variants")
@click.argument("bundle", type=PLACE)
@click.option("--data", type=PLACE, required=True, help="Data that the encoder was trained on.")
@CACHE
@click.option("--bgknown", type=PLACE, help="Data set of 'data bgknown', for the gate, too.")
@click.option("--graph", is_flag=True, help="Write the float32 graph again, too.")
@prints_result
def variants(
    bundle: Path, data: Path, cache: Path, bgknown: Path | None, graph: bool
) -> dict[str, list[str]]:
    """Make the int8 and float16 variants of a bundle; those that pass the gate are added.

    They are calibrated on training clips and compared with float32 on held-out clips.
    """
    from training.data.clips import TrainingData
    from training.export.renew import renew_variants
    from training.scorers import bgknown_scorer

    scorers = [] if bgknown is None else [bgknown_scorer(bgknown)]
    outcomes = renew_variants(bundle, TrainingData(data, cache), graph=graph, scorers=scorers)
    return {"variants": [outcome.line() for outcome in outcomes]}


@click.command("renew")
@click.argument("bundle", type=PLACE)
@prints_result
def renew(bundle: Path) -> dict[str, Path]:
    """Write bundle.json and the model card of a bundle in the present format.

    No other file changes, and the fingerprints stay, so libraries stay valid.
    """
    from training.export.renew import renew_documents

    renew_documents(bundle)
    return {"bundle": bundle}
