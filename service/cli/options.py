"""Command-line options that several commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from service.retrieval.options import DEFAULT_K, MAX_K, RankingOptions

Command = Callable[..., Any]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)


class FloatRange(click.FloatRange):
    """Range of numbers that NaN, which is neither below nor above another number, is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


_SETTINGS = {
    "host": click.option("--host", help="Address to listen on  [MINUEND_HOST; 127.0.0.1]"),
    "port": click.option(
        "--port", type=click.IntRange(0, 65535), help="Port to listen on  [MINUEND_PORT; 8000]"
    ),
    "bundle": click.option(
        "--bundle", type=ANY_PATH, help="Folder of the bundle  [MINUEND_BUNDLE; models/default]"
    ),
    "library": click.option(
        "--library", type=ANY_PATH, help="Folder of the library  [MINUEND_LIBRARY; library]"
    ),
    "create": click.option(
        "--create/--no-create",
        default=None,
        help="Make the library if the folder is missing or empty  [MINUEND_CREATE; create]",
    ),
    "device": click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "tensorrt"]),
        help="Device of the encoder  [MINUEND_DEVICE; auto]",
    ),
}


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Add options that override settings; the command gets the resulting `Settings`.

    Args:
        *names: Fields of `Settings` that get an option.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**options: Any) -> Any:
            from service.settings import load_settings

            values = {name: options.pop(name) for name in names}
            overrides = {name: value for name, value in values.items() if value is not None}
            return command(settings=load_settings(**overrides), **options)

        decorated: Command = with_settings
        for name in reversed(names):
            decorated = _SETTINGS[name](decorated)
        return decorated

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


_RANKING = (
    click.option(
        "-k",
        type=click.IntRange(1, MAX_K),
        default=DEFAULT_K,
        show_default=True,
        help="Most hits to return.",
    ),
    click.option(
        "--filter",
        "filter_text",
        metavar="JSON",
        help="""Condition on the metadata of hits: '{"kind": ["rain", "wind"]}'.""",
    ),
    click.option(
        "--reference-weight",
        type=FloatRange(0, 1),
        help="Weight with which the reference is subtracted  [that of the bundle]",
    ),
    click.option(
        "--every-window",
        is_flag=True,
        help="Return every window of a long clip as a hit of its own, not only the best.",
    ),
)
RANKING_NAMES = ("k", "filter_text", "reference_weight", "every_window")


def ranking_options(command: Command) -> Command:
    """Add the options of the selection of hits; the command gets `RankingOptions`."""

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

        ranking = RankingOptions(
            k=k if given(["k"]) else None,
            filter=None if filter_text is None else parse_filter(filter_text),
            reference_weight=reference_weight,
            every_window=every_window,
        )
        return command(ranking=ranking, **options)

    decorated: Command = with_ranking
    for option in reversed(_RANKING):
        decorated = option(decorated)
    return decorated


def given(names: Iterable[str]) -> list[str]:
    """Return the names of those parameters that are on the command line."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is ParameterSource.COMMANDLINE]
