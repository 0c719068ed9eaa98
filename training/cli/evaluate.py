"""``minuend-train evaluate``."""

from __future__ import annotations

import click


@click.group("evaluate")
def command() -> None:
    """Measure encoders and towers the way the paper does."""
