"""``minuend-train data``."""

from __future__ import annotations

import click

from training.cli import datasets


@click.group("data")
def command() -> None:
    """Make data sets that are a function of recordings and a seed."""


for member in (datasets.bgknown, datasets.prepare):
    command.add_command(member)
