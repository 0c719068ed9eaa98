from __future__ import annotations

import io
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from service.api.forms import validate
from service.api.request_models import ClipForm, DifferenceForm, EmbedForm, ListQuery, SearchForm
from service.catalog.filters import parse_filter
from service.errors import (
    ClipIdInvalidError,
    FilterInvalidError,
    KOutOfRangeError,
    MetadataInvalidError,
    RequestInvalidError,
    WindowInvalidError,
)


def test_text_and_json_values_are_equivalent() -> None:
    as_text = [("k", "5"), ("reference_weight", "0.25"), ("filter", '{"kind": "rain"}')]
    as_json = [("k", 5), ("reference_weight", 0.25), ("filter", {"kind": "rain"})]

    assert validate(SearchForm, as_text) == validate(SearchForm, as_json)


def test_a_filter_is_parsed() -> None:
    fields = validate(ListQuery, [("filter", '{"kind": ["rain", "wind"]}')])

    assert fields.filter == parse_filter({"kind": ["rain", "wind"]})


def test_metadata_may_come_as_text() -> None:
    file = ("audio", UploadFile(io.BytesIO()))

    assert validate(ClipForm, [file, ("metadata", '{"kind": "rain"}')]).metadata == {"kind": "rain"}
    assert validate(ClipForm, [file]).metadata == {}


@pytest.mark.parametrize(
    ("model", "name", "value", "error"),
    [
        (SearchForm, "k", "0", KOutOfRangeError),
        (SearchForm, "k", "2.5", KOutOfRangeError),
        (DifferenceForm, "k", -1, KOutOfRangeError),
        (SearchForm, "clip_id", "../secret", ClipIdInvalidError),
        (SearchForm, "reference_id", "", ClipIdInvalidError),
        (DifferenceForm, "mixture_id", "a" * 129, ClipIdInvalidError),
        (SearchForm, "filter", "{", FilterInvalidError),
        (ClipForm, "metadata", "{", MetadataInvalidError),
        (ClipForm, "metadata", "[]", MetadataInvalidError),
        (EmbedForm, "window_s", "-1", WindowInvalidError),
        (EmbedForm, "window_s", "nan", WindowInvalidError),
        (EmbedForm, "hop_s", "inf", WindowInvalidError),
        (EmbedForm, "encoding", "xml", RequestInvalidError),
        (SearchForm, "reference_weight", "1.5", RequestInvalidError),
        (SearchForm, "reference_weight", "nan", RequestInvalidError),
        (ListQuery, "limit", "0", RequestInvalidError),
        (ListQuery, "limit", "1001", RequestInvalidError),
    ],
)
def test_a_faulty_value_raises_the_error_of_its_field(
    model: Any, name: str, value: object, error: type[RequestInvalidError]
) -> None:
    with pytest.raises(RequestInvalidError) as caught:
        validate(model, [(name, value)])

    assert type(caught.value) is error


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    with pytest.raises(RequestInvalidError, match=r"'windw_s'.*window_s"):
        validate(EmbedForm, [("windw_s", "1")])


def test_all_faulty_values_are_listed_in_one_error() -> None:
    with pytest.raises(RequestInvalidError, match=r"reference_weight: .*; k: |k: .*; reference_w"):
        validate(SearchForm, [("reference_weight", "2"), ("k", "0")])


@pytest.mark.parametrize(
    "values",
    [
        [("reference_id", "a"), ("reference_id", "b")],
        [("reference_id", ["a", "b"])],
        [("reference_id", ["a"]), ("reference_id", "b")],
    ],
)
def test_the_values_of_a_repeatable_field_are_gathered(
    values: list[tuple[str, Any]],
) -> None:
    assert validate(DifferenceForm, values).reference_id == ("a", "b")


def test_one_reference_can_be_given_alone() -> None:
    assert validate(DifferenceForm, [("reference_id", "a")]).reference_id == ("a",)
    assert validate(DifferenceForm, []).reference_id == ()


def test_any_other_field_given_twice_is_refused_by_name() -> None:
    with pytest.raises(RequestInvalidError, match="'mixture_id' is given more than once"):
        validate(DifferenceForm, [("mixture_id", "a"), ("mixture_id", "b")])
