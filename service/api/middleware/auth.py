"""Authentication by API keys, and what each key allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.keys import KeyRing
from service.api.keys import Scope as KeyScope
from service.api.problems import problem_response
from service.errors import ForbiddenError, ServiceError, UnauthorizedError

OPEN_PATHS = ("/healthz", "/readyz", "/")
OPEN_FOLDERS = ("/page/",)
"""Paths without a key: the probes, and the page, which asks for a key itself."""


class ApiKeyAuth:
    """ASGI layer that requires a key: ``Authorization: Bearer KEY``.

    A key to read may search, embed and play; only a key to write may change the library.

    Args:
        app: The next layer.
        keys: The valid keys.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or is_open(scope["path"]) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        if self._keys.is_due():
            await anyio.to_thread.run_sync(self._keys.refresh)
        try:
            self._check(scope)
        except ServiceError as error:
            headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
            await problem_response(scope, error, **headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise UnauthorizedError("a key is needed: send it as 'Authorization: Bearer KEY'")
        key = self._keys.find(secret.strip())
        if key is None:
            raise UnauthorizedError("this key is not known here")
        if key.scope != "write" and needed_scope(scope) == "write":
            raise ForbiddenError(f"the key of {key.name!r} may read; this changes the library")


def is_open(path: str) -> bool:
    """Return whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def needed_scope(scope: Mapping[str, Any]) -> KeyScope:
    """Return the scope of the key that a request needs: "write" if it would change the library."""
    is_change = scope["method"] in ("PUT", "DELETE", "PATCH") or (
        scope["method"] == "POST" and (scope["path"] + "/").startswith("/clips/")
    )
    return "write" if is_change else "read"
