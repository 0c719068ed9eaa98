"""``minuend-train evaluate``."""

from __future__ import annotations

import click

from training.cli import changed, evaluation, towers


@click.group("evaluate")
def command() -> None:
    """Measure encoders and towers as in the paper."""


for member in (
    *(evaluation.bgknown, evaluation.linear, evaluation.separation, evaluation.report),
    *(towers.retrieval, towers.ablation, towers.page),
    *(changed.changed, changed.page),
):
    command.add_command(member)
