"""The command ``minuend-train``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from service.errors import StartupError
from training.errors import TrainingError

FOLDER = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train, measure and export the difference-aware encoder."""


@commands.command()
@click.option("--recipe", "name", default="cpu", show_default=True, help="Shipped name or YAML.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override a setting.")
@click.option("--data", type=FOLDER, required=True, help="Folder of audio, or CSV manifest.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the run.")
@click.option("--cache", type=FOLDER, default=Path("cache"), show_default=True)
@click.option("--init", type=FOLDER, help="Bundle whose encoder to go on from.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of the run.")
@click.option("--stop-after", type=click.IntRange(min=1), help="Stop after this step.")
def pretrain(  # noqa: PLR0913, PLR0917 - one parameter an option
    name: str,
    overrides: tuple[str, ...],
    data: Path,
    out: Path,
    cache: Path,
    init: Path | None,
    resume: bool,
    stop_after: int | None,
) -> None:
    """Pre-train an encoder. Under torchrun the batches are shared by the processes."""
    from training.pretrain import Source, pretrain
    from training.recipe import load_recipe

    recipe = load_recipe(name, overrides)
    checkpoint = pretrain(
        recipe, Source(data, cache), out, init=init, resume=resume, stop_after=stop_after
    )
    click.echo(str(checkpoint))


@commands.command()
@click.argument("checkpoint", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the bundle; names its id.")
def export(checkpoint: Path, out: Path) -> None:
    """Write a bundle from a checkpoint, if its graph gives what the torch model gives."""
    from training.export import export

    click.echo(str(export(checkpoint, out)))


def main() -> None:
    """Run a command; what we raise on purpose ends it with one line and exit code 1."""
    try:
        commands()
    except (TrainingError, StartupError) as error:
        click.echo(f"minuend-train: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
