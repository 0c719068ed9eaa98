"""The command ``minuend-train``: one module for each of its commands.

Modules that take long to import are imported inside the commands, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys

import click

from service.errors import StartupError
from training.cli import (
    changed,
    data,
    evaluate,
    export,
    pretrain,
    renew,
    retrieval,
    sweep,
    variants,
)
from training.errors import TrainingError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train, measure and export the difference-aware encoder."""


def main() -> None:
    """Run a command; an error that we raise ends it with one line and exit code 1."""
    try:
        commands()
    except (TrainingError, StartupError) as error:
        click.echo(f"minuend-train: {error}", err=True)
        sys.exit(1)


for module in (pretrain, retrieval, export, variants, renew, changed, data, evaluate, sweep):
    commands.add_command(module.command)
