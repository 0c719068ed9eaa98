"""``minuend-train data scenes`` and ``data apwd``: pairs of clips that differ by a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.options import CACHE, DATA, OTHER_RECORDINGS, PLACE, SET, prints_result


@click.command("scenes")
@click.option("--scene", "name", required=True, help="`general`, `rain`, `traffic`, or YAML.")
@click.option("--side", type=click.Choice(["train", "test"]), required=True)
@DATA
@click.option(
    "--bundle",
    "bundles",
    type=PLACE,
    required=True,
    multiple=True,
    help="Bundle whose encoder embeds. May be repeated; each pair is rendered once for all.",
)
@SET
@click.option("--pairs", "n_pairs", type=click.IntRange(min=1), required=True)
@click.option("--permissive", is_flag=True, help="Only clips a shipped model may be trained on.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@OTHER_RECORDINGS
@CACHE
@prints_result
def scenes(
    name: str, data: Path, bundles: tuple[Path, ...], out: Path, cache: Path, **plan: Any
) -> dict[str, Path]:
    """Pairs of clips that differ by one or two changes, as in the APwD data set."""
    from training.scenes.draw import PairPlan
    from training.scenes.generate import generate
    from training.scenes.recipe import load_scene

    scene = load_scene(name)
    generate(data, scene, PairPlan(scene=scene.name, **plan), bundles, out, cache)
    return {"scenes": out}


@click.command("apwd")
@click.option("--jams", type=PLACE, required=True, help="Folder of one subset and split.")
@click.option("--fsd50k", type=PLACE, required=True, help="Folder of FSD50K's audio.")
@click.option("--esc50", type=PLACE, required=True, help="Folder of ESC-50's audio.")
@click.option("--bundle", type=PLACE, required=True, help="Bundle whose encoder embeds.")
@SET
@prints_result
def apwd(jams: Path, fsd50k: Path, esc50: Path, bundle: Path, out: Path) -> dict[str, Path]:
    """The official APwD pairs, rendered from their recipes and your copies of the sources."""
    from training.scenes.apwd_audio import generate_apwd

    generate_apwd(jams, fsd50k, esc50, bundle, out)
    return {"scenes": out}
