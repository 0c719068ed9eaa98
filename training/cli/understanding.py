"""``minuend-train understanding`` and ``composition``: what a text asks for, and its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.options import BUNDLE, CACHE, OVERRIDES, PLACE, RUN, prints_result


@click.command("understanding")
@click.option("--recipe", "name", default="understanding", show_default=True, help="Name or YAML.")
@OVERRIDES
@click.option("--data", "manifest", type=PLACE, help="CSV manifest; its labels are names.")
@click.option("--sounds", "files", type=PLACE, multiple=True, help="Text file, a name in a line.")
@click.option("--teacher", is_flag=True, help="Use the names of the teacher's classes, too.")
@RUN
@CACHE
@prints_result
def understanding(
    name: str, overrides: tuple[str, ...], teacher: bool, out: Path, cache: Path, **places: Any
) -> dict[str, Path]:
    """Train the detection of sounds and changes in a text, and of unknown texts.

    The scores on held-out names and phrasings are in scores.json beside the checkpoint. `export`
    takes the checkpoint with --understanding.
    """
    from training.teacher.files import find_teacher
    from training.towers.understanding.recipe import load_understanding_recipe
    from training.towers.understanding.run import train_understanding
    from training.towers.understanding.sounds import collect_sounds

    recipe = load_understanding_recipe(name, overrides)
    classes = find_teacher().classes() if teacher else ()
    names = collect_sounds(classes=classes, **places)
    return {"checkpoint": train_understanding(recipe, names, out, cache)}


@click.command("composition")
@click.argument("checkpoint", type=PLACE)
@click.option("--scenes", type=PLACE, required=True, help="Scenes of a training side.")
@BUNDLE
@click.option("--out", type=PLACE, required=True, help="JSON file to write.")
@CACHE
@prints_result
def composition(
    checkpoint: Path, scenes: Path, bundle: Path, out: Path, cache: Path
) -> dict[str, Path]:
    """Fit the weights of the sounds of a request in a query, for towers of a CHECKPOINT.

    `export` takes the file with --composition.
    """
    from service.bundle.files import load_bundle
    from training.results import write_result
    from training.scenes.load import load_scenes
    from training.towers.composition import fit_composition
    from training.towers.evaluation.projector import TowerProjector
    from training.towers.run import load_towers
    from training.towers.text_cache import TextCache

    loaded = load_towers(checkpoint)
    projector = TowerProjector(loaded.networks, TextCache(cache / "texts", loaded.recipe.text))
    encoder = load_bundle(bundle).manifest.encoder.fingerprint
    fitted = fit_composition(load_scenes(scenes, encoder), projector)
    write_result(out, {"weights": fitted.weights.model_dump(), "scores": fitted.scores})
    return {"composition": out}
