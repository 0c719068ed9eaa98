"""`minuend tune`: measure the fastest settings of the encoder on this host."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import ANY_PATH, FloatRange, json_option, settings_options
from service.cli.output import json_text, quiet

if TYPE_CHECKING:
    from service.settings import Settings


N_CHOICES = 5


@click.command("tune", epilog="Example: minuend tune --out minuend.env")
@click.option(
    "--out",
    type=ANY_PATH,
    default="minuend.env",
    show_default=True,
    help="File to write the settings to.",
)
@click.option(
    "--seconds",
    type=FloatRange(min=0.1, max=600),
    default=60.0,
    show_default=True,
    help="Total time of the measurements [s].",
)
@json_option
@settings_options("bundle")
def command(*, out: Path, seconds: float, as_json: bool, settings: Settings) -> None:
    """Measure the fastest settings of the encoder on this host, and write them to a file.

    The file has environment variables and the measurements for each. Read it in the shell that
    starts the service (set -a; . ./minuend.env), or give it to a container as --env-file. Run the
    command on the machine of the service with the same cores, and run nothing else at the same
    time. Only the CPU is measured.
    """
    from service.inference.autotune import tune
    from service.inference.onnx_session import n_cores
    from service.loading import open_bundle

    say = quiet if as_json else click.echo
    choices = []
    lines = [f"# Written by `minuend tune` on {n_cores()} cores."]
    for choice in tune(open_bundle(settings), seconds=seconds / N_CHOICES):
        lines += choice.lines()
        say("\n".join(choice.lines()))
        choices.append(asdict(choice))
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(f"written to {out}")
    if as_json:
        click.echo(json_text({"file": str(out), "choices": choices}))
