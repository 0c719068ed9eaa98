"""``minuend-train pretrain``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell


@click.command("pretrain")
@click.option("--recipe", "name", default="cpu", show_default=True, help="Shipped name or YAML.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override a setting.")
@click.option("--data", type=PLACE, required=True, help="Folder of audio, or CSV manifest.")
@click.option("--out", type=PLACE, required=True, help="Folder of the run.")
@click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
@click.option("--init", type=PLACE, help="Bundle whose encoder to start from.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint of the run.")
@click.option("--stop-after", type=click.IntRange(min=1), help="Stop after this step.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: str,
    overrides: tuple[str, ...],
    data: Path,
    out: Path,
    cache: Path,
    init: Path | None,
    resume: bool,
    stop_after: int | None,
    as_json: bool,
) -> None:
    """Pre-train an encoder. Under torchrun, the processes share each batch."""
    from training.data.clips import TrainingData
    from training.pretraining.pretrain import pretrain
    from training.recipe import load_recipe

    recipe = load_recipe(name, overrides)
    checkpoint = pretrain(
        recipe, TrainingData(data, cache), out, init=init, resume=resume, stop_after=stop_after
    )
    tell({"checkpoint": checkpoint}, as_json=as_json)
