"""Render Markdown pages and model cards from the templates of this package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """Render a template.

    Args:
        template: Name of a file in ``templates/``, without ``.md.j2``.
        values: The names that the template uses.

    Returns:
        Markdown that ends with one newline.

    Raises:
        jinja2.UndefinedError: The template uses a name or a key that is not there.
    """
    text = _environment().get_template(f"{template}.md.j2").render(values)
    return text.strip("\n") + "\n"


class _Missing(StrictUndefined):
    """A missing name or key; using it is an error, in a format too."""

    def __format__(self, _: str) -> str:
        return str(self)  # raises


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {"fmt": format, "percent": percent, "accuracy": accuracy}
    return environment


def percent(share: float, digits: int = 1) -> str:
    """Write a share, 0 to 1, in percent."""
    return f"{100 * share:.{digits}f} %"


def accuracy(figures: dict[str, float]) -> str:
    """Write an accuracy of a results file with the half width of its interval."""
    return f"{figures['mean']:.2f} ± {figures['interval_95']:.2f}"
