"""``minuend-train renew``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell


@click.command("renew")
@click.argument("bundle", type=PLACE)
@json_option
def command(bundle: Path, as_json: bool) -> None:
    """Write a bundle's bundle.json in the present format.

    No other file changes, and the fingerprints stay, so libraries stay valid.
    """
    from training.export.renew import renew_manifest

    renew_manifest(bundle)
    tell({"bundle": bundle}, as_json=as_json)
