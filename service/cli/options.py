"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

Command = Callable[..., Any]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
PLACE = click.Path(path_type=Path)

_SETTINGS = {
    "host": click.option("--host", help="Address to listen on  [MINUEND_HOST; 127.0.0.1]"),
    "port": click.option(
        "--port", type=click.IntRange(0, 65535), help="Port to listen on  [MINUEND_PORT; 8000]"
    ),
    "bundle": click.option(
        "--bundle", type=PLACE, help="Folder of the bundle  [MINUEND_BUNDLE; models/default]"
    ),
    "library": click.option(
        "--library", type=PLACE, help="Folder of the library  [MINUEND_LIBRARY; library]"
    ),
    "device": click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "tensorrt"]),
        help="Where the encoder runs  [MINUEND_DEVICE; auto]",
    ),
}


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Add options that override settings; the command gets the `Settings` that result.

    Args:
        *names: The fields of `Settings` that have an option.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**options: Any) -> Any:
            from service.settings import load_settings

            given = {name: options.pop(name) for name in names}
            overrides = {name: value for name, value in given.items() if value is not None}
            return command(settings=load_settings(**overrides), **options)

        decorated: Command = with_settings
        for name in reversed(names):
            decorated = _SETTINGS[name](decorated)
        return decorated

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


_RANKING = (
    click.option(
        "-k",
        type=click.IntRange(1, 1000),
        default=10,
        show_default=True,
        help="Hits to return.",
    ),
    click.option(
        "--filter",
        "filter_text",
        metavar="JSON",
        help="""Which clips may be hits: '{"kind": ["rain", "wind"]}'.""",
    ),
    click.option(
        "--reference-weight",
        type=click.FloatRange(0, 1),
        help="How much of the reference is subtracted  [the bundle's own weight]",
    ),
    click.option(
        "--every-window",
        is_flag=True,
        help="Let every window of a long clip be a hit, not its best alone.",
    ),
)
RANKING_NAMES = ("k", "filter_text", "reference_weight", "every_window")


def ranking_options(command: Command) -> Command:
    """Add the options that say which clips to return; the command gets the `RankingOptions`."""

    @functools.wraps(command)
    def with_ranking(
        *,
        k: int,
        filter_text: str | None,
        reference_weight: float | None,
        every_window: bool,
        **options: Any,
    ) -> Any:
        from service.catalog.filters import parse_filter
        from service.retrieval.options import RankingOptions

        condition = None if filter_text is None else parse_filter(filter_text)
        ranking = RankingOptions(k, condition, reference_weight, every_window=every_window)
        return command(ranking=ranking, **options)

    decorated: Command = with_ranking
    for option in reversed(_RANKING):
        decorated = option(decorated)
    return decorated


def given(names: Iterable[str]) -> list[str]:
    """Return those of the parameters that stand on the command line."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is ParameterSource.COMMANDLINE]
