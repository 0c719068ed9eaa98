"""``minuend-train sweep``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.evaluation import numbers
from training.cli.options import AS_JSON, CACHE, OVERRIDES, PLACE, RESULTS, tell


@click.command("sweep")
@click.argument("recipe")
@click.option("--lambdas", default="0,0.1,0.2,0.5,0.8", show_default=True)
@click.option("--seeds", help="Seeds of pre-training, such as 42,43; by default the recipe's.")
@OVERRIDES
@click.option("--data", type=PLACE, required=True, help="CSV manifest with ESC-50 in it.")
@click.option("--out", type=PLACE, required=True, help="Folder of runs, bundles and data sets.")
@RESULTS
@CACHE
@AS_JSON
def sweep(  # noqa: PLR0913, PLR0917 - one parameter an option
    recipe: str,
    lambdas: str,
    seeds: str | None,
    overrides: tuple[str, ...],
    data: Path,
    out: Path,
    results: Path,
    cache: Path,
    as_json: bool,
) -> None:
    """Train RECIPE with every lambda, export, and measure: table 1, ESC-50 and separation.

    Can be resumed: finished steps are skipped. A run is in OUT/RECIPE-LAMBDA (with -seedN for
    another seed than the recipe's), its bundle in OUT/bundles, its results in a row of sweep.json.
    """
    from training.data.clips import TrainingData
    from training.sweep import Sweep, describe_plan

    plan = Sweep(recipe, overrides, TrainingData(data, cache), out, results)
    weights = [word.strip() for word in lambdas.split(",")]
    chosen = numbers(seeds) if seeds else ()
    click.echo(describe_plan(plan, weights, chosen), err=as_json)
    tell({"bundles": plan.run(weights, chosen)}, as_json=as_json)
