"""``minuend-train sweep`` and ``trials``."""

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


@click.command("trials")
@click.argument("plan")
@click.option("--seeds", default="42,43", show_default=True, help="Seeds of pre-training.")
@click.option("--only", help="Names of trials with their lambda, such as both-0.2,labels-0.2.")
@click.option("--data", type=PLACE, required=True, help="CSV manifest with ESC-50 in it.")
@click.option("--out", type=PLACE, required=True, help="Folder of runs, bundles and data sets.")
@RESULTS
@CACHE
@AS_JSON
def trials(plan: str, seeds: str, only: str | None, *, as_json: bool, **folders: Path) -> None:
    """Train, export and measure every trial of PLAN with every seed.

    PLAN is the name of a shipped plan (distillation) or a YAML file. Each trial is a recipe with
    settings of its own, measured as by 'sweep'; its results are in RESULTS/trials/PLAN. Can be
    resumed: a trial with a results file is skipped.
    """
    from training.data.clips import TrainingData
    from training.trials import Trials, load_plan

    data = TrainingData(folders["data"], folders["cache"])
    names = [word.strip() for word in only.split(",")] if only else ()
    chosen = Trials(
        load_plan(plan), data, folders["out"], folders["results"], numbers(seeds), names
    )
    listed = [f"{trial.full_name}-seed{seed}" for trial, seed in chosen.chosen()]
    click.echo(f"{len(listed)} trials: {', '.join(listed)}", err=as_json)
    tell({"results": chosen.run()}, as_json=as_json)
