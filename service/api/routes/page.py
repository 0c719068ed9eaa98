"""GET /: a page to search by ear. It loads nothing from other hosts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.etag import etag_headers, matches_etag, not_modified
from service.errors import NotFoundError

FOLDER = "page"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the page, with a digest by which browsers check whether their copy is current."""

    content: bytes
    media_type: str
    tag: str


def make_router() -> APIRouter:
    """Read the files of the page once, and return the routes of this module."""
    files = _read()

    async def get_page(request: Request) -> Response:
        return _answer(request, files["index.html"])

    async def get_file(name: str, request: Request) -> Response:
        if name not in files:
            raise NotFoundError(f"the page has no file {name!r:.80}")
        return _answer(request, files[name])

    router = APIRouter(include_in_schema=False)
    router.get("/")(get_page)
    router.get("/page/{name}")(get_file)
    return router


def _read() -> dict[str, _File]:
    files = {}
    for entry in resources.files("service").joinpath(FOLDER).iterdir():
        media_type = MEDIA_TYPES.get(PurePath(entry.name).suffix)
        if media_type is not None:
            content = entry.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:32]
            files[entry.name] = _File(content, media_type, tag)
    return files


def _answer(request: Request, file: _File) -> Response:
    headers = {**HEADERS, **etag_headers(file.tag)}
    if matches_etag(request, file.tag):
        return not_modified(headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
