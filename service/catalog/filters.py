"""Metadata of clips, and filters over it.

Metadata is a flat JSON object of names and values: text, numbers, true, false, null, or lists of
these. A filter is a flat JSON object over the same names; a clip passes if every entry holds:

    {"kind": "rain"}                       equal, or one element of a list equal
    {"kind": ["rain", "wind"]}             equal to any of these
    {"year": {"gte": 1990, "lt": 2000}}    within bounds: numbers, or text by code point
    {"licence": null}                      no value there: null, an empty list, or not named

Values are equal within a JSON type only: 1 equals 1.0, but neither true nor "1".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.catalog.database import FILTER_FUNCTION
from service.catalog.filter_tests import Test, all_of, any_of, is_absent, within
from service.clips import Metadata, Scalar
from service.errors import FilterInvalidError, MetadataInvalidError, RequestInvalidError

MAX_METADATA_BYTES = 16_384
MAX_FILTER_NAMES = 32
MAX_ANY_OF = 256
MAX_SQL_NAMES = 4
"""Names up to which SQL is about as fast as the function, and does not hold up Python threads."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NUMBER = "entry.type IN ('integer', 'real')"
_TEXT = "entry.type = 'text'"


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition in SQL over the column `clips.metadata`.

    SQL decodes the metadata of a clip once for every name. Of a filter of more than
    `MAX_SQL_NAMES` names, only the first is in SQL; a function that decodes once tests the rest.

    Attributes:
        where: An SQL expression; every value in it is a placeholder.
        parameters: Values of the placeholders, in order.
        passes: The function `FILTER_FUNCTION` of the expression; None if it has none.
    """

    where: str
    parameters: tuple[str | int | float, ...]
    passes: Callable[[bytes], bool] | None = None


def check_metadata(metadata: object) -> Metadata:
    """Return metadata that may be stored, as plain JSON values.

    Raises:
        MetadataInvalidError: It is not a flat JSON object, or is larger than 16,384 bytes.
    """
    checked: Metadata = {}
    for name, value in _check_object(metadata, "metadata", MetadataInvalidError).items():
        subject = f"metadata {name!r}"
        if isinstance(value, list):
            checked[name] = [_check_scalar(item, subject, MetadataInvalidError) for item in value]
        else:
            checked[name] = _check_scalar(value, subject, MetadataInvalidError)
    size_bytes = len(orjson.dumps(checked))
    if size_bytes > MAX_METADATA_BYTES:
        raise MetadataInvalidError(
            f"metadata takes {size_bytes} bytes as JSON; at most {MAX_METADATA_BYTES} are allowed"
        )
    return checked


def parse_filter(source: str | bytes | Mapping[str, object]) -> Filter:
    """Read a filter from JSON text or from a decoded JSON object.

    Raises:
        FilterInvalidError: It is not a filter; the detail names the entry.
    """
    if isinstance(source, str | bytes):
        try:
            source = orjson.loads(source)
        except ValueError as err:
            raise FilterInvalidError(f"the filter is not JSON: {err}") from err
    entries = _check_object(source, "the filter", FilterInvalidError)
    if len(entries) > MAX_FILTER_NAMES:
        raise FilterInvalidError(
            f"the filter names {len(entries)} entries; at most {MAX_FILTER_NAMES} are allowed"
        )
    conditions = [(name, *_condition(name, value)) for name, value in entries.items()]
    in_sql, passes = conditions, None
    if len(conditions) > MAX_SQL_NAMES:
        in_sql = conditions[:1]
        passes = all_of({name: test for name, _, test in conditions[1:]})
    wheres = [condition.where for _, condition, _ in in_sql]
    if passes is not None:
        wheres.append(f"{FILTER_FUNCTION}(CAST(clips.metadata AS BLOB))")
    parameters = tuple(value for _, condition, _ in in_sql for value in condition.parameters)
    return Filter(" AND ".join(wheres) or "TRUE", parameters, passes)


def _condition(name: str, value: object) -> tuple[Filter, Test]:
    """Return the condition of one entry, in SQL and as a function of the value in metadata."""
    if isinstance(value, Mapping):
        bounds = _check_bounds(name, value)
        return _exists(name, _range(bounds)), within(bounds)
    if value is None:
        any_value = _exists(name, Filter("entry.type <> 'null'", ()))
        return Filter(f"NOT {any_value.where}", any_value.parameters), is_absent
    if not isinstance(value, list):
        value = [value]
    if not 1 <= len(value) <= MAX_ANY_OF:
        raise FilterInvalidError(
            f"filter {name!r} lists {len(value)} values; 1 to {MAX_ANY_OF} are allowed"
        )
    wanted = _check_wanted(name, value)
    return _exists(name, _any_of(wanted)), any_of(wanted)


def _exists(name: str, test: Filter) -> Filter:
    """Return the condition that some element of the entry called `name` passes a test."""
    return Filter(
        f"EXISTS (SELECT 1 FROM json_each(clips.metadata, ?) AS entry WHERE {test.where})",
        (f'$."{name}"', *test.parameters),
    )


def _check_wanted(name: str, values: Sequence[object]) -> list[str | int | float | bool]:
    wanted: list[str | int | float | bool] = []
    for value in values:
        scalar = _check_scalar(value, f"filter {name!r}", FilterInvalidError)
        if scalar is None:
            raise FilterInvalidError(f"filter {name!r}: null stands alone, not in a list")
        wanted.append(scalar)
    return wanted


def _any_of(wanted: Sequence[str | int | float | bool]) -> Filter:
    flags = [str(value).lower() for value in wanted if isinstance(value, bool)]
    texts = [value for value in wanted if isinstance(value, str)]
    numbers = [value for value in wanted if not isinstance(value, bool | str)]
    return Filter(
        f"entry.type IN ({_placeholders(flags)})"
        f" OR {_TEXT} AND entry.atom IN ({_placeholders(texts)})"
        f" OR {_NUMBER} AND entry.atom IN ({_placeholders(numbers)})",
        (*flags, *texts, *numbers),
    )


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _check_bounds(name: str, bounds: Mapping[str, object]) -> dict[str, str | int | float]:
    unknown = sorted(set(bounds) - set(_BOUNDS))
    if unknown or not bounds:
        raise FilterInvalidError(
            f"filter {name!r}: a range has one or more of gt, gte, lt, lte, not {unknown or '{}'}"
        )
    checked: dict[str, str | int | float] = {}
    for bound, value in bounds.items():
        scalar = _check_scalar(value, f"filter {name!r} {bound}", FilterInvalidError)
        if isinstance(scalar, bool) or scalar is None:
            raise FilterInvalidError(f"filter {name!r} {bound}: a bound is a number or text")
        checked[bound] = scalar
    if len({isinstance(value, str) for value in checked.values()}) > 1:
        raise FilterInvalidError(f"filter {name!r}: bounds are all numbers or all text")
    return checked


def _range(bounds: Mapping[str, str | int | float]) -> Filter:
    values = tuple(bounds.values())
    tests = [
        _TEXT if isinstance(values[0], str) else _NUMBER,
        *(f"entry.atom {_BOUNDS[bound]} ?" for bound in bounds),
    ]
    return Filter(" AND ".join(tests), values)


def _check_object(
    value: object, subject: str, error: type[RequestInvalidError]
) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise error(f"{subject} must be a JSON object, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise error(
                f"{subject}: name {name!r:.80} is not 1 to 64 characters of A-Z a-z 0-9 _ . -"
            )
    return dict(value)


def _check_scalar(value: object, subject: str, error: type[RequestInvalidError]) -> Scalar:
    """Return the value if JSON and SQLite hold it without loss."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise error(f"{subject}: text must be Unicode without NUL and lone surrogates")
        return value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise error(
        f"{subject}: allowed are text, finite numbers (integers of 64 bits), true, false, null, "
        f"not {value!r:.80}"
    )
