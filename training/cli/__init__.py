"""The command ``minuend-train``.

Modules that take long to import are imported inside the commands, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys

import click

from service.errors import StartupError
from training.cli import (
    captions,
    changed,
    datasets,
    evaluation,
    scenes,
    towers,
    train,
    understanding,
    variants,
    words,
)
from training.cli.export import export, export_encoder
from training.cli.sweep import sweep, trials
from training.errors import RunStoppedError, TrainingError


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
    """Run a command; an error that we raise ends it with one line and exit code 1.

    A run that a signal stopped has the exit code of that signal: 128 and its number.
    """
    try:
        commands()
    except RunStoppedError as error:
        click.echo(f"minuend-train: {error}", err=True)
        sys.exit(128 + error.number)
    except (TrainingError, StartupError) as error:
        click.echo(f"minuend-train: {error}", err=True)
        sys.exit(1)


MEMBERS = {
    commands: (
        *(train.pretrain, train.retrieval, export, variants.variants, variants.renew),
        export_encoder,
        *(changed.calibrate, sweep, trials),
        *(understanding.understanding, understanding.composition),
    ),
    data: (
        *(scenes.scenes, scenes.apwd, datasets.bgknown, datasets.prepare),
        datasets.pack,
        *(towers.mixtures, towers.held_out, captions.captions, captions.lexicon),
    ),
    evaluate: (
        *(evaluation.bgknown, evaluation.linear, evaluation.separation, evaluation.report),
        *(towers.retrieval, towers.ablation, towers.page, words.words, words.page),
        *(changed.changed, changed.describe, changed.page),
    ),
}
for group, members in MEMBERS.items():
    for member in members:
        group.add_command(member)
