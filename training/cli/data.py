"""``minuend-train data``."""

from __future__ import annotations

import click

from training.cli import datasets, scenes, towers


@click.group("data")
def command() -> None:
    """Make data sets from recordings and a seed."""


for member in (
    scenes.scenes,
    scenes.apwd,
    datasets.bgknown,
    datasets.prepare,
    towers.mixtures,
    towers.held_out,
):
    command.add_command(member)
