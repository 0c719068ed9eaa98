"""``minuend-train retrieval``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell


@click.command("retrieval")
@click.option("--recipe", "name", default="retrieval", show_default=True, help="Name or YAML.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override a setting.")
@click.option("--train", type=PLACE, required=True, help="Folder of scenes, the training side.")
@click.option("--bundle", type=PLACE, required=True, help="Bundle with the encoder.")
@click.option("--out", type=PLACE, required=True, help="Folder of the run.")
@click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: str,
    overrides: tuple[str, ...],
    train: Path,
    bundle: Path,
    out: Path,
    cache: Path,
    as_json: bool,
) -> None:
    """Train the towers, which map sounds and texts into one space, on cached embeddings."""
    from service.bundle.files import load_bundle
    from training.towers.recipe import load_towers_recipe
    from training.towers.run import train_retrieval
    from training.towers.text_cache import TextCache

    recipe = load_towers_recipe(name, overrides)
    texts = TextCache(cache / "texts", recipe.text)
    checkpoint = train_retrieval(recipe, train, load_bundle(bundle), out, texts)
    tell({"checkpoint": checkpoint}, as_json=as_json)
