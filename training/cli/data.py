"""``minuend-train data``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import towers
from training.cli.options import PLACE
from training.scenes.scene import SceneName, Side


@click.group("data")
def command() -> None:
    """Make data sets that are a function of recordings and a seed."""


@command.command("scenes")
@click.option("--scene", type=click.Choice(["rain", "traffic", "general"]), required=True)
@click.option("--side", type=click.Choice(["train", "test"]), required=True)
@click.option("--data", type=PLACE, required=True, help="CSV manifest.")
@click.option("--bundle", type=PLACE, required=True, help="Bundle whose encoder embeds.")
@click.option("--out", type=PLACE, required=True, help="Folder of the set; gone on with.")
@click.option("--pairs", "n_pairs", type=click.IntRange(min=1), required=True)
@click.option("--permissive", is_flag=True, help="Only clips a shipped model may be trained on.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
def scenes(  # noqa: PLR0913, PLR0917 - one parameter an option
    scene: SceneName,
    side: Side,
    data: Path,
    bundle: Path,
    out: Path,
    n_pairs: int,
    permissive: bool,
    seed: int,
    cache: Path,
) -> None:
    """Pairs of clips that differ by one or two changes, as in the APwD data set."""
    from training.scenes.draw import Plan
    from training.scenes.generate import generate

    plan = Plan(scene=scene, side=side, n_pairs=n_pairs, seed=seed, permissive=permissive)
    generate(data, plan, bundle, out, cache)
    click.echo(str(out))


for member in (towers.mixtures, towers.held_out):
    command.add_command(member)
