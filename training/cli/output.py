"""What commands print: their result, for people or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click


def tell(result: Mapping[str, object], *, as_json: bool) -> None:
    """Print a result as one JSON object, or else its values, those of a list one a line."""
    if as_json:
        click.echo(json.dumps(result, indent=2, default=str))
        return
    for value in result.values():
        for line in value if isinstance(value, list) else [value]:
            click.echo(str(line))
