"""The limits of options are those of the settings and of the API."""

from __future__ import annotations

from typing import Any, get_args

import click
import pytest
from annotated_types import Ge, Le

from service.api.request_models import DifferenceForm, SearchForm
from service.cli import main
from service.settings import Settings


def option(command: str, name: str) -> click.Option:
    (found,) = (it for it in main.commands[command].params if it.name == name)
    assert isinstance(found, click.Option)
    return found


def limits(rules: list[Any]) -> tuple[float | None, float | None]:
    lowest = next((rule.ge for rule in rules if isinstance(rule, Ge)), None)
    highest = next((rule.le for rule in rules if isinstance(rule, Le)), None)
    return lowest, highest


@pytest.mark.parametrize(
    ("command", "name", "rules"),
    [
        ("search", "strength", SearchForm.model_fields["modifier_strength"].metadata),
        ("search", "k", Settings.model_fields["max_k"].metadata),
        ("diff", "n_phrases", DifferenceForm.model_fields["phrases"].metadata),
        ("serve", "port", Settings.model_fields["port"].metadata),
    ],
)
def test_an_option_has_the_range_of_its_field(command: str, name: str, rules: list[Any]) -> None:
    kind = option(command, name).type

    assert isinstance(kind, click.IntRange | click.FloatRange)
    assert (kind.min, kind.max) == limits(rules)


def test_the_option_device_has_the_choices_of_the_setting() -> None:
    kind = option("serve", "device").type

    assert isinstance(kind, click.Choice)
    assert tuple(kind.choices) == get_args(Settings.model_fields["device"].annotation)


@pytest.mark.parametrize("name", main.commands)
def test_no_range_has_nan(name: str) -> None:
    for it in main.commands[name].params:
        if isinstance(it.type, click.FloatRange):
            with pytest.raises(click.BadParameter, match="not a number"):
                it.type.convert("nan", it, None)
