"""GET /: a page to try the service by ear. It loads nothing from other hosts."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import NotFoundError

MEDIA_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:",
    "cache-control": "no-cache",
}


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(include_in_schema=False)
    router.get("/")(get_page)
    router.get("/page/{name}")(get_file)
    return router


async def get_page() -> Response:
    """Give the page."""
    return _file("index.html")


async def get_file(name: str) -> Response:
    """Give a file that the page needs."""
    if name not in MEDIA_TYPES:
        raise NotFoundError(f"the page has no file {name!r:.80}")
    return _file(name)


def _file(name: str) -> Response:
    content = resources.files("service").joinpath("page", name).read_bytes()
    return Response(content, headers=HEADERS, media_type=MEDIA_TYPES[name])
