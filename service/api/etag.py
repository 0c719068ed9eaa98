"""Conditional requests: entity tags and If-None-Match (RFC 9110, 8.8 and 13.1)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response


def etag_headers(tag: str) -> dict[str, str]:
    """Return the headers of a response that a client may keep but must validate.

    Args:
        tag: Differs whenever the content does; printable ASCII without quotes.
    """
    return {"etag": f'"{tag}"', "cache-control": "private, no-cache"}


def matches_etag(request: Request, tag: str) -> bool:
    """Return whether the client has the content of this tag."""
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = {part.strip().removeprefix("W/") for part in given.split(",")}
    return f'"{tag}"' in tags or "*" in tags


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return the response to a client that has the content."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=dict(headers))
