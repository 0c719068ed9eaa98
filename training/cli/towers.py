"""``data mixtures``, ``data held-out`` and ``evaluate retrieval``, ``ablation``, their page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from training.cli.options import (
    AS_JSON,
    BUNDLE,
    CACHE,
    CAPTIONS,
    DATA,
    OTHER_RECORDINGS,
    PLACE,
    RESULTS,
    SET,
    options_of,
    prints_result,
    tell,
)

RECIPE = click.option("--recipe", "name", default="retrieval", show_default=True)
OVERRIDES = click.option("--set", "overrides", multiple=True, metavar="A.B=C")
TRAIN = click.option("--train", type=PLACE, required=True, help="Scenes, the training side.")
SCENE = click.option("--scene", default="general", show_default=True, help="Name or YAML.")
RESULTS_FILE = click.option("--results", type=PLACE, required=True, help="JSON file to write.")
SEEDS = click.option("--seeds", type=click.IntRange(min=1, max=10), default=3, show_default=True)
scene_set_options = options_of(DATA, SCENE, BUNDLE, SET, OTHER_RECORDINGS, CACHE, prints_result)


@click.command("mixtures")
@scene_set_options
def mixtures(
    data: Path, scene: str, bundle: Path, out: Path, other_recordings: float, cache: Path
) -> dict[str, Path]:
    """500 events over backgrounds of the test side, to test the words for a difference."""
    from training.scenes.recipe import load_scene
    from training.towers.evaluation.mixtures import make_mixtures

    make_mixtures(data, load_scene(scene), bundle, out, cache, other_recordings)
    return {"scenes": out}


@click.command("held-out")
@scene_set_options
def held_out(
    data: Path, scene: str, bundle: Path, out: Path, other_recordings: float, cache: Path
) -> dict[str, Path]:
    """Pairs of held-out sources of the training side, to compare recipes of towers on."""
    from training.scenes.recipe import load_scene
    from training.towers.evaluation.holdout import make_holdout

    make_holdout(data, load_scene(scene), bundle, out, cache, other_recordings)
    return {"scenes": out}


@click.command("retrieval")
@RECIPE
@OVERRIDES
@TRAIN
@click.option("--test", type=PLACE, required=True, help="Scenes, the test side.")
@click.option("--mixtures", type=PLACE, help="To test the words for a difference.")
@CAPTIONS
@click.option("--other", type=PLACE, help="The test side, made with --other-recordings 1.")
@click.option("--other-mixtures", type=PLACE, help="Mixtures made with --other-recordings 1.")
@BUNDLE
@click.option(
    "--runs", type=PLACE, required=True, help="Folder of the checkpoints, which are reused."
)
@SEEDS
@RESULTS_FILE
@CACHE
@prints_result
def retrieval(
    name: str,
    overrides: tuple[str, ...],
    bundle: Path,
    results: Path,
    cache: Path,
    **settings: Any,
) -> dict[str, Path]:
    """Train towers of a few seeds, and measure them and the baselines."""
    from service.bundle.files import load_bundle
    from training.results import write_result
    from training.towers.evaluation.experiment import ExperimentSettings, run_experiment
    from training.towers.recipe import load_towers_recipe
    from training.towers.text_cache import TextCache

    recipe = load_towers_recipe(name, overrides)
    texts = TextCache(cache / "texts", recipe.text)
    experiment = ExperimentSettings(
        recipe=recipe, bundle=load_bundle(bundle), cache=texts, **settings
    )
    write_result(results, run_experiment(experiment))
    return {"results": results}


@click.command("ablation")
@RECIPE
@OVERRIDES
@TRAIN
@click.option("--held-out", type=PLACE, required=True, help="Folder made by `data held-out`.")
@click.option("--other", type=PLACE, help="The same, made with --other-recordings 1.")
@click.option("--only", multiple=True, help="Variant to measure; all by default.")
@BUNDLE
@SEEDS
@RESULTS_FILE
@CACHE
@AS_JSON
def ablation(
    name: str,
    overrides: tuple[str, ...],
    bundle: Path,
    results: Path,
    cache: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure the effect of each part of a recipe on held-out sources of the training side."""
    from service.bundle.files import load_bundle
    from training.results import write_result
    from training.towers.evaluation.ablation import AblationSettings, run_ablation
    from training.towers.recipe import load_towers_recipe
    from training.towers.text_cache import TextCache

    chosen = AblationSettings(
        recipe=name,
        overrides=overrides,
        bundle=load_bundle(bundle),
        cache=TextCache(cache / "texts", load_towers_recipe(name, overrides).text),
        **settings,
    )
    write_result(results, run_ablation(chosen, partial(click.echo, err=as_json)))
    tell({"results": results}, as_json=as_json)


@click.command("retrieval-page")
@RESULTS
@prints_result
def page(results: Path) -> dict[str, Path]:
    """Render retrieval.md and its plots from the results files beside it."""
    from training.reports.retrieval_page import write_page

    return {"page": write_page(results)}
