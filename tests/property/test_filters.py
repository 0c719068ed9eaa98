"""Any filter over any metadata works as documented, or is refused."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.database import FILTER_FUNCTION
from service.catalog.filters import MAX_SQL_NAMES, check_metadata, parse_filter
from service.errors import FilterInvalidError, MetadataInvalidError

COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}

# Few of each, so that filters and metadata often meet.
NAMES = st.sampled_from(["kind", "year", "a.b-c_1"])
# As many names that every metadata passes as make SQL leave the rest to the function.
PADDING: dict[str, Any] = {f"absent{i}": None for i in range(MAX_SQL_NAMES)}
NUMBERS = st.sampled_from([-1, 0, 1, 1.0, 1.5, 2**53, 1e300])
TEXTS = st.sampled_from(["", "1", "rain", "Rain", "rain ", "ü", "'", '"', "true"])
SCALARS = NUMBERS | TEXTS | st.booleans()
METADATA = st.dictionaries(
    NAMES, SCALARS | st.none() | st.lists(SCALARS | st.none(), max_size=3), max_size=3
)
BOUNDS = st.sampled_from(sorted(COMPARE))
RANGES = st.dictionaries(BOUNDS, NUMBERS, min_size=1) | st.dictionaries(BOUNDS, TEXTS, min_size=1)
FILTERS = st.dictionaries(
    NAMES, SCALARS | st.none() | st.lists(SCALARS, min_size=1, max_size=3) | RANGES, max_size=3
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE clips (metadata TEXT)")
    yield database
    database.close()


def selects(database: sqlite3.Connection, query: object, metadata: object) -> bool:
    condition = parse_filter(orjson.dumps(query))
    database.execute("DELETE FROM clips")
    database.execute("INSERT INTO clips VALUES (?)", (orjson.dumps(metadata).decode(),))
    if condition.passes is not None:
        database.create_function(FILTER_FUNCTION, 1, condition.passes, deterministic=True)
    sql = f"SELECT 1 FROM clips WHERE {condition.where}"
    return database.execute(sql, condition.parameters).fetchone() is not None


def holds(wanted: Any, value: Any) -> bool:
    """Apply a filter to one value as the documentation of `service.catalog.filters` says."""
    values = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
    if wanted is None:
        return not values
    if isinstance(wanted, dict):
        return any(
            all(same_type(v, bound) and COMPARE[name](v, bound) for name, bound in wanted.items())
            for v in values
        )
    wanted = wanted if isinstance(wanted, list) else [wanted]
    return any(same_type(v, w) and v == w for v in values for w in wanted)


def same_type(a: object, b: object) -> bool:
    kinds = [bool if isinstance(x, bool) else str if isinstance(x, str) else float for x in (a, b)]
    return kinds[0] is kinds[1]


@given(query=FILTERS, metadata=METADATA)
def test_sql_agrees_with_the_documentation(
    database: sqlite3.Connection, query: dict[str, Any], metadata: dict[str, Any]
) -> None:
    expected = all(holds(wanted, metadata.get(name)) for name, wanted in query.items())
    assert selects(database, query, metadata) == expected


@given(query=FILTERS, metadata=METADATA)
def test_the_function_of_large_filters_agrees_with_sql(
    database: sqlite3.Connection, query: dict[str, Any], metadata: dict[str, Any]
) -> None:
    expected = selects(database, query, metadata)
    assert selects(database, {**PADDING, **query}, metadata) == expected


@given(source=st.text() | st.binary() | ANY_JSON)
def test_anything_is_a_filter_that_runs_or_is_refused(
    database: sqlite3.Connection, source: Any
) -> None:
    try:
        condition = parse_filter(source)
    except FilterInvalidError:
        return
    if condition.passes is not None:
        database.create_function(FILTER_FUNCTION, 1, condition.passes, deterministic=True)
    database.execute(f"SELECT 1 FROM clips WHERE {condition.where}", condition.parameters)


@given(source=ANY_JSON)
def test_anything_is_metadata_that_json_carries_or_is_refused(source: object) -> None:
    try:
        metadata = check_metadata(source)
    except MetadataInvalidError:
        return
    assert orjson.loads(orjson.dumps(metadata)) == metadata
