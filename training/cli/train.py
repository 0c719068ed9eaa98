"""``minuend-train pretrain`` and ``retrieval``: training of the encoder and of the towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.options import BUNDLE, CACHE, CAPTIONS, OVERRIDES, PLACE, RUN, prints_result


@click.command("pretrain")
@click.option("--recipe", "name", default="cpu", show_default=True, help="Shipped name or YAML.")
@OVERRIDES
@click.option("--data", type=PLACE, required=True, help="Folder of audio, or CSV manifest.")
@RUN
@CACHE
@click.option("--init", type=PLACE, help="Bundle, or encoder in parts, to start from.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint of the run.")
@click.option("--stop-after", type=click.IntRange(min=1), help="Stop after this step.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of the run in training time, instead of epochs; schedules end with it.",
)
@prints_result
def pretrain(
    name: str, overrides: tuple[str, ...], data: Path, out: Path, cache: Path, **start_and_end: Any
) -> dict[str, Path]:
    """Pre-train an encoder. Under torchrun, the processes share each batch.

    SIGINT (Ctrl-C) and SIGTERM stop the run after the step at hand, with a checkpoint.
    """
    from training.data.clips import TrainingData
    from training.pretraining.pretrain import pretrain
    from training.recipe import load_recipe

    recipe = load_recipe(name, overrides)
    return {"checkpoint": pretrain(recipe, TrainingData(data, cache), out, **start_and_end)}


@click.command("retrieval")
@click.option("--recipe", "name", default="retrieval", show_default=True, help="Name or YAML.")
@OVERRIDES
@click.option(
    "--train", "scenes", type=PLACE, required=True, help="Folder of scenes, the training side."
)
@CAPTIONS
@BUNDLE
@RUN
@CACHE
@prints_result
def retrieval(
    name: str, overrides: tuple[str, ...], bundle: Path, cache: Path, **folders: Any
) -> dict[str, Path]:
    """Train the towers, which map sounds and texts into one space, on cached embeddings."""
    from service.bundle.files import load_bundle
    from training.towers.recipe import load_towers_recipe
    from training.towers.run import train_retrieval
    from training.towers.text_cache import TextCache

    recipe = load_towers_recipe(name, overrides)
    texts = TextCache(cache / "texts", recipe.text)
    loaded = load_bundle(bundle)
    return {"checkpoint": train_retrieval(recipe, bundle=loaded, cache=texts, **folders)}
