"""Limits of filters and metadata; `tests/property/test_filters.py` tests what filters find."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import orjson
import pytest

from service.catalog import filter_tests
from service.catalog.database import FILTER_FUNCTION
from service.catalog.filters import (
    MAX_ANY_OF,
    MAX_FILTER_NAMES,
    MAX_METADATA_BYTES,
    check_metadata,
    parse_filter,
)
from service.errors import FilterInvalidError, MetadataInvalidError


@pytest.mark.parametrize(
    "text",
    [
        "kind=rain",
        "",
        "[]",
        "null",
        '"kind"',
        '{"kind": {"rain": 1}}',
        '{"year": {}}',
        '{"year": {"gt": null}}',
        '{"year": {"gt": true}}',
        '{"year": {"gt": 1, "lt": "2"}}',
        '{"year": {"gt": [1]}}',
        '{"kind": []}',
        '{"kind": [["rain"]]}',
        '{"kind": ["rain", null]}',
        '{"kind": ["rain", {}]}',
        '{"": 1}',
        '{"a b": 1}',
        '{"x\\"": 1}',
        '{"ünder": 1}',
        '{"year": NaN}',
        '{"year": 1e999}',
        '{"year": 9223372036854775808}',
        '{"kind": "\\u0000"}',
        '{"kind": "\\ud800"}',
        b"\xff",
        "[" * 100_000,
        f'{{"{"n" * 65}": 1}}',
    ],
)
def test_invalid_filters_are_refused(text: str | bytes) -> None:
    with pytest.raises(FilterInvalidError):
        parse_filter(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, "\ud800", b"rain", object()])
def test_values_that_json_text_cannot_carry_are_refused_in_objects_too(value: object) -> None:
    with pytest.raises(FilterInvalidError):
        parse_filter({"kind": value})
    with pytest.raises(MetadataInvalidError):
        check_metadata({"kind": value})


def test_size_of_a_filter_is_bounded_and_the_largest_one_runs() -> None:
    largest = parse_filter({f"n{i}": list(range(MAX_ANY_OF)) for i in range(MAX_FILTER_NAMES)})
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE clips (metadata TEXT)")
        db.create_function(FILTER_FUNCTION, 1, largest.passes)
        db.execute(f"SELECT 1 FROM clips WHERE {largest.where}", largest.parameters)
    with pytest.raises(FilterInvalidError, match=f"at most {MAX_FILTER_NAMES}"):
        parse_filter({f"n{i}": 1 for i in range(MAX_FILTER_NAMES + 1)})
    with pytest.raises(FilterInvalidError, match=f"1 to {MAX_ANY_OF}"):
        parse_filter({"kind": list(range(MAX_ANY_OF + 1))})


def test_values_never_become_sql() -> None:
    condition = parse_filter({"kind": "') OR 1=1 --", "year": {"gt": "'"}})
    assert "1=1" not in condition.where
    assert condition.parameters == ('$."kind"', "') OR 1=1 --", '$."year"', "'")


def test_metadata_of_every_allowed_kind_is_returned_unchanged() -> None:
    metadata = {"t": "Regen ☂", "i": -(2**63), "f": 0.1, "b": False, "n": None, "l": [1, "x", None]}
    assert check_metadata(metadata) == metadata


@pytest.mark.parametrize(
    "metadata", [None, [], "text", {"a": {"b": 1}}, {"a": [[1]]}, {"a b": 1}, {1: 2}, {"": 1}]
)
def test_metadata_that_is_not_a_flat_object_is_refused(metadata: object) -> None:
    with pytest.raises(MetadataInvalidError):
        check_metadata(metadata)


def test_metadata_is_measured_as_json_in_utf_8() -> None:
    overhead = len('{"a":""}')
    check_metadata({"a": "x" * (MAX_METADATA_BYTES - overhead)})
    with pytest.raises(MetadataInvalidError, match=str(MAX_METADATA_BYTES)):
        check_metadata({"a": "x" * (MAX_METADATA_BYTES - overhead + 1)})
    with pytest.raises(MetadataInvalidError):
        check_metadata({"a": "☂" * (MAX_METADATA_BYTES // 2)})


def test_metadata_are_decoded_once_for_all_names_but_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SQL decodes them once for every name, which took 18 s for 32 names and 50,000 clips."""
    condition = parse_filter({f"n{i}": i for i in range(MAX_FILTER_NAMES)})
    assert condition.where.count("json_each") == 1
    assert condition.passes is not None
    n_decoded = 0

    def count(text: str) -> object:
        nonlocal n_decoded
        n_decoded += 1
        return orjson.loads(text)

    monkeypatch.setattr(filter_tests, "orjson", SimpleNamespace(loads=count))
    assert condition.passes(orjson.dumps({f"n{i}": i for i in range(40)}).decode())
    assert not condition.passes('{"n0": 0, "n1": 2}')
    assert n_decoded == 2
