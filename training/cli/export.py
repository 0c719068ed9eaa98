"""``minuend-train export``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE


@click.command("export")
@click.argument("checkpoint", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="Folder of the bundle; names its id.")
def command(checkpoint: Path, out: Path) -> None:
    """Write a bundle from a checkpoint, if its graph gives what the torch model gives.

    It has int8 and float16 variants too, those that pass their gate.
    """
    from training.export import export

    click.echo(str(export(checkpoint, out, tell=click.echo)))
