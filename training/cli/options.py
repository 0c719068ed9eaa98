"""Options of several commands, and the output of their results."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

PLACE = click.Path(path_type=Path)
DATA = click.option("--data", type=PLACE, required=True, help="CSV manifest.")
RUN = click.option("--out", type=PLACE, required=True, help="Folder of the run.")
SET = click.option(
    "--out", type=PLACE, required=True, help="Folder of the set; a stopped run continues."
)
CACHE = click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
RESULTS = click.option("--results", type=PLACE, default=Path("docs/results"), show_default=True)
BUNDLE = click.option("--bundle", type=PLACE, required=True, help="Bundle with the encoder.")
OVERRIDES = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=C", help="Override a setting."
)
CAPTIONS = click.option(
    "--captions", type=PLACE, help="Folder of `data captions`, for recipes with loss.captions."
)
THREADS = click.option("--threads", default=0, help="0 for one for each core; 1 on a busy machine.")
OTHER_RECORDINGS = click.option(
    "--other-recordings",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of pairs whose target is over other recordings of the same kind of background.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def options_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Make a decorator that adds several options to a command."""
    return lambda command: functools.reduce(lambda f, option: option(f), options[::-1], command)


def prints_result(command: Callable[..., Mapping[str, object]]) -> Command:
    """Print the result that a command returns, as text or, with ``--json``, as JSON."""

    @AS_JSON
    @functools.wraps(command)
    def printing(*, as_json: bool, **options: Any) -> None:
        tell(command(**options), as_json=as_json)

    return printing


def tell(result: Mapping[str, object], *, as_json: bool) -> None:
    """Print a result as one JSON object, or its values one per line; lists item by item."""
    if as_json:
        click.echo(json.dumps(result, indent=2, default=str))
        return
    for value in result.values():
        for line in value if isinstance(value, list) else [value]:
            click.echo(str(line))
