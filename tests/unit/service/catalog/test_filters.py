from __future__ import annotations

import sqlite3

import orjson
import pytest

from service.catalog.filters import (
    MAX_ANY_OF,
    MAX_FILTER_NAMES,
    MAX_METADATA_BYTES,
    check_metadata,
    parse_filter,
)
from service.errors import FilterInvalidError, MetadataInvalidError

CLIPS = {
    "rain": {"kind": "rain", "year": 1995, "tags": ["wet", "loud"], "loop": True},
    "wind": {"kind": "wind", "year": 2001.5, "tags": [], "loop": False},
    "bird": {"kind": "bird", "year": "1995", "tags": ["loud", 3, None], "a.b-c": 1},
    "hush": {"kind": None, "loop": 1},
    "bare": {},
}


def found(query: object) -> list[str]:
    """Names of the clips above that pass a filter."""
    condition = parse_filter(orjson.dumps(query))
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE clips (name TEXT, metadata TEXT)")
        for name, metadata in CLIPS.items():
            db.execute("INSERT INTO clips VALUES (?, ?)", (name, orjson.dumps(metadata).decode()))
        rows = db.execute(
            f"SELECT name FROM clips WHERE {condition.where} ORDER BY rowid", condition.parameters
        ).fetchall()
    db.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["rain", "wind", "bird", "hush", "bare"]),
        ({"kind": "rain"}, ["rain"]),
        ({"kind": "RAIN"}, []),
        ({"kind": ["rain", "bird", "snow"]}, ["rain", "bird"]),
        ({"kind": "rain", "year": 1995}, ["rain"]),
        ({"kind": "wind", "year": 1995}, []),
        ({"tags": "loud"}, ["rain", "bird"]),
        ({"tags": ["wet", 3]}, ["rain", "bird"]),
        ({"a.b-c": 1}, ["bird"]),
        ({"nowhere": 1}, []),
    ],
)
def test_every_entry_of_a_filter_must_hold_and_any_value_of_a_list(
    query: object, names: list[str]
) -> None:
    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"year": 1995}, ["rain"]),
        ({"year": 1995.0}, ["rain"]),
        ({"year": "1995"}, ["bird"]),
        ({"loop": True}, ["rain"]),
        ({"loop": False}, ["wind"]),
        ({"loop": 1}, ["hush"]),
        ({"loop": [True, 1]}, ["rain", "hush"]),
    ],
)
def test_values_are_equal_within_a_json_type_only(query: object, names: list[str]) -> None:
    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"year": {"gte": 1995}}, ["rain", "wind"]),
        ({"year": {"gt": 1995}}, ["wind"]),
        ({"year": {"gte": 1995, "lt": 2001.5}}, ["rain"]),
        ({"year": {"lte": 2001.5}}, ["rain", "wind"]),
        ({"year": {"gte": "19", "lt": "2"}}, ["bird"]),
        ({"kind": {"gt": "bird"}}, ["rain", "wind"]),
        ({"tags": {"gt": 2, "lt": 4}}, ["bird"]),
    ],
)
def test_ranges_compare_numbers_with_numbers_and_text_with_text(
    query: object, names: list[str]
) -> None:
    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"kind": None}, ["hush", "bare"]),
        ({"tags": None}, ["wind", "hush", "bare"]),
        ({"year": None, "loop": 1}, ["hush"]),
    ],
)
def test_null_finds_clips_without_a_value(query: object, names: list[str]) -> None:
    assert found(query) == names


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


def test_size_of_a_filter_is_bounded() -> None:
    parse_filter({f"n{i}": list(range(MAX_ANY_OF)) for i in range(MAX_FILTER_NAMES)})
    with pytest.raises(FilterInvalidError, match=f"at most {MAX_FILTER_NAMES}"):
        parse_filter({f"n{i}": 1 for i in range(MAX_FILTER_NAMES + 1)})
    with pytest.raises(FilterInvalidError, match=f"1 to {MAX_ANY_OF}"):
        parse_filter({"kind": list(range(MAX_ANY_OF + 1))})


def test_the_largest_filter_runs() -> None:
    assert found({f"n{i}": list(range(MAX_ANY_OF)) for i in range(MAX_FILTER_NAMES)}) == []


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
