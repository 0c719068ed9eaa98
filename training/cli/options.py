"""Options of several commands."""

from __future__ import annotations

from pathlib import Path

import click

PLACE = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
