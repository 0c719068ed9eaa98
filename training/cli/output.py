"""Print the result of a command, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click


def tell(result: Mapping[str, object], *, as_json: bool) -> None:
    """Print a result as one JSON object, or its values one per line; lists item by item."""
    if as_json:
        click.echo(json.dumps(result, indent=2, default=str))
        return
    for value in result.values():
        for line in value if isinstance(value, list) else [value]:
            click.echo(str(line))
