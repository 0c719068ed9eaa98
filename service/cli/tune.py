"""`minuend tune`: the settings under which this host encodes fastest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import PLACE, json_option, settings_options
from service.cli.output import json_text, quiet

if TYPE_CHECKING:
    from service.settings import Settings


N_CHOICES = 5


@click.command("tune", epilog="Example: minuend tune --out minuend.env")
@click.option(
    "--out", type=PLACE, default="minuend.env", show_default=True, help="File of settings to write."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1, max=600),
    default=60.0,
    show_default=True,
    help="How long to measure, altogether.",
)
@json_option
@settings_options("bundle")
def command(*, out: Path, seconds: float, as_json: bool, settings: Settings) -> None:
    """Measure how this host encodes fastest, and write the settings down.

    The file holds environment variables, each with the figures that chose it: read it into the
    shell that starts the service (set -a; . ./minuend.env), or give it to a container as
    --env-file. Run it on the machine and with the cores that the service will have, and nothing
    else beside it. Only the CPU is measured.
    """
    from service.inference.autotune import tune
    from service.inference.onnx_session import n_cores
    from service.services import open_bundle

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
