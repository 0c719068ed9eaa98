from __future__ import annotations

from typing import Any

import pytest

from service.api.request_models import (
    ClipFields,
    DifferenceFields,
    EmbedFields,
    ListFields,
    SearchFields,
    validate,
)
from service.catalog.filters import parse_filter
from service.errors import (
    ClipIdInvalidError,
    FilterInvalidError,
    KOutOfRangeError,
    MetadataInvalidError,
    RequestInvalidError,
    WindowInvalidError,
)


def test_text_and_json_values_mean_the_same() -> None:
    as_text = [("k", "5"), ("reference_weight", "0.25"), ("filter", '{"kind": "rain"}')]
    as_json = [("k", 5), ("reference_weight", 0.25), ("filter", {"kind": "rain"})]

    assert validate(SearchFields, as_text) == validate(SearchFields, as_json)


def test_a_filter_is_parsed() -> None:
    fields = validate(ListFields, [("filter", '{"kind": ["rain", "wind"]}')])

    assert fields.filter == parse_filter({"kind": ["rain", "wind"]})


def test_metadata_may_come_as_text() -> None:
    assert validate(ClipFields, [("metadata", '{"kind": "rain"}')]).metadata == {"kind": "rain"}
    assert validate(ClipFields, []).metadata == {}


@pytest.mark.parametrize(
    ("model", "name", "value", "error"),
    [
        (SearchFields, "k", "0", KOutOfRangeError),
        (SearchFields, "k", "2.5", KOutOfRangeError),
        (DifferenceFields, "k", -1, KOutOfRangeError),
        (SearchFields, "clip_id", "../secret", ClipIdInvalidError),
        (SearchFields, "reference_id", "", ClipIdInvalidError),
        (DifferenceFields, "mixture_id", "a" * 129, ClipIdInvalidError),
        (SearchFields, "filter", "{", FilterInvalidError),
        (ClipFields, "metadata", "{", MetadataInvalidError),
        (ClipFields, "metadata", "[]", MetadataInvalidError),
        (EmbedFields, "window_s", "-1", WindowInvalidError),
        (EmbedFields, "window_s", "nan", WindowInvalidError),
        (EmbedFields, "hop_s", "inf", WindowInvalidError),
        (EmbedFields, "encoding", "xml", RequestInvalidError),
        (SearchFields, "reference_weight", "1.5", RequestInvalidError),
        (SearchFields, "reference_weight", "nan", RequestInvalidError),
        (ListFields, "limit", "0", RequestInvalidError),
        (ListFields, "limit", "1001", RequestInvalidError),
    ],
)
def test_a_faulty_value_raises_the_error_of_its_field(
    model: Any, name: str, value: object, error: type[RequestInvalidError]
) -> None:
    with pytest.raises(RequestInvalidError) as caught:
        validate(model, [(name, value)])

    assert type(caught.value) is error


def test_an_unknown_name_is_refused_and_the_known_ones_are_told() -> None:
    with pytest.raises(RequestInvalidError, match=r"'windw_s'.*window_s"):
        validate(EmbedFields, [("windw_s", "1")])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(RequestInvalidError, match="more than once"):
        validate(SearchFields, [("k", "1"), ("k", "2")])


def test_all_faulty_values_are_told_at_once() -> None:
    with pytest.raises(RequestInvalidError, match=r"reference_weight: .*; k: |k: .*; reference_w"):
        validate(SearchFields, [("reference_weight", "2"), ("k", "0")])


@pytest.mark.parametrize(
    "values",
    [
        [("reference_id", "a"), ("reference_id", "b")],
        [("reference_id", ["a", "b"])],
        [("reference_id", ["a"]), ("reference_id", "b")],
    ],
)
def test_a_field_that_may_be_given_several_times_is_gathered(
    values: list[tuple[str, Any]],
) -> None:
    assert validate(DifferenceFields, values).reference_id == ("a", "b")


def test_one_reference_may_be_given_alone() -> None:
    assert validate(DifferenceFields, [("reference_id", "a")]).reference_id == ("a",)
    assert validate(DifferenceFields, []).reference_id == ()


def test_any_other_field_given_twice_is_refused_by_name() -> None:
    with pytest.raises(RequestInvalidError, match="'mixture_id' is given more than once"):
        validate(DifferenceFields, [("mixture_id", "a"), ("mixture_id", "b")])
