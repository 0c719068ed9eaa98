"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

PLACE = click.Path(path_type=Path)
