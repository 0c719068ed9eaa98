"""Conditions of filters as functions of a value in metadata, with the meaning that SQL gives them.

A value is what JSON decodes to: text, a number, true, false, null or a list of these; None also
stands for a name that the metadata do not have. A list passes if one of its elements does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

Test = Callable[[Any], bool]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def all_of(tests: Mapping[str, Test]) -> Callable[[bytes], bool]:
    """Return the function that tells whether metadata, as JSON text, pass the tests of all names.

    The text is decoded once. Damaged text passes no test.
    """
    named = list(tests.items())

    def passes(metadata: bytes) -> bool:
        try:
            value_of = orjson.loads(metadata).get
        except (ValueError, AttributeError):
            return False
        for name, test in named:  # noqa: SIM110 - faster than `all`, and run for every clip
            if not test(value_of(name)):
                return False
        return True

    return passes


def any_of(wanted: Iterable[str | int | float | bool]) -> Test:
    """Return the test whether a value is one of those wanted, within its JSON type."""
    wanted = list(wanted)
    flags = frozenset(value for value in wanted if isinstance(value, bool))
    others = frozenset(value for value in wanted if not isinstance(value, bool))

    def is_wanted(value: Any) -> bool:
        kind = type(value)
        if kind is list:
            return any(map(is_wanted, value))
        if kind is bool:
            return value in flags
        return kind is not dict and value in others

    return is_wanted


def within(bounds: Mapping[str, str | int | float]) -> Test:
    """Return the test whether a value lies within all bounds: numbers, or text by code point."""
    kinds = (str,) if isinstance(next(iter(bounds.values())), str) else (int, float)
    tests = [(_COMPARE[bound], limit) for bound, limit in bounds.items()]

    def is_within(value: Any) -> bool:
        kind = type(value)
        if kind is list:
            return any(map(is_within, value))
        return kind in kinds and all(compare(value, limit) for compare, limit in tests)

    return is_within


def is_absent(value: Any) -> bool:
    """Tell whether there is no value: null, a list without any, or no such name."""
    if isinstance(value, list):
        return all(item is None for item in value)
    return value is None
