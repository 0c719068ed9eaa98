from __future__ import annotations

import pytest
from fastapi import Request

from service.api.etag import etag_headers, matches_etag, not_modified


def asking(*values: str) -> Request:
    headers = [(b"if-none-match", value.encode()) for value in values]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


@pytest.mark.parametrize(
    "values", [('"a"',), ('W/"a"',), ('"b", "a"',), ('"b"', '"a"'), ("*",), (' "a" ',)]
)
def test_a_matching_tag_is_found(values: tuple[str, ...]) -> None:
    assert matches_etag(asking(*values), "a")


@pytest.mark.parametrize("values", [(), ("",), ("a",), ('"ab"',), ('"A"',)])
def test_another_tag_does_not_match(values: tuple[str, ...]) -> None:
    assert not matches_etag(asking(*values), "a")


def test_a_not_modified_response_keeps_its_tag() -> None:
    response = not_modified(etag_headers("a"))

    assert (response.status_code, response.body) == (304, b"")
    assert response.headers["etag"] == '"a"'
    assert "no-cache" in response.headers["cache-control"]
