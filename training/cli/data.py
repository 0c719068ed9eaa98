"""``minuend-train data``."""

from __future__ import annotations

import click


@click.group("data")
def command() -> None:
    """Make data sets that are a function of recordings and a seed."""
