"""The command ``minuend-train``.

Modules that take long to import are imported inside the commands, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys

import click

from service.errors import StartupError
from training.cli import (
    changed,
    datasets,
    evaluation,
    scenes,
    towers,
    train,
    understanding,
    variants,
)
from training.cli.export import export
from training.cli.sweep import sweep
from training.errors import TrainingError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train, measure and export the difference-aware encoder."""


@commands.group("data")
def data() -> None:
    """Make data sets from recordings and a seed."""


@commands.group("evaluate")
def evaluate() -> None:
    """Measure encoders and towers as in the paper."""


def main() -> None:
    """Run a command; an error that we raise ends it with one line and exit code 1."""
    try:
        commands()
    except (TrainingError, StartupError) as error:
        click.echo(f"minuend-train: {error}", err=True)
        sys.exit(1)


MEMBERS = {
    commands: (
        *(train.pretrain, train.retrieval, export, variants.variants, variants.renew),
        *(changed.calibrate, sweep, understanding.understanding, understanding.composition),
    ),
    data: (
        *(scenes.scenes, scenes.apwd, datasets.bgknown, datasets.prepare),
        *(towers.mixtures, towers.held_out),
    ),
    evaluate: (
        *(evaluation.bgknown, evaluation.linear, evaluation.separation, evaluation.report),
        *(towers.retrieval, towers.ablation, towers.page, changed.changed, changed.page),
    ),
}
for group, members in MEMBERS.items():
    for member in members:
        group.add_command(member)
