"""Who may do what, where keys are asked for."""

from __future__ import annotations

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.keys import KeyRing
from service.api.problems import problem_response
from service.errors import ForbiddenError, KeysError, ServiceError, UnauthorizedError

OPEN_PATHS = ("/healthz", "/readyz", "/")
OPEN_FOLDERS = ("/page/",)
"""What needs no key: the probes, and the page, which asks for a key itself."""

logger = logging.getLogger(__name__)


class ApiKeyAuth:
    """ASGI layer that lets in who has a key: ``Authorization: Bearer KEY``.

    A key to read may search, embed and play; only a key to write may change the library.

    Args:
        app: What answers.
        keys: The keys that are good.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or is_open(scope["path"]) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
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
        try:
            key = self._keys.find(secret.strip())
        except KeysError:
            logger.exception("the keys cannot be read; nobody is let in")
            raise UnauthorizedError("no key is good at the moment") from None
        if key is None:
            raise UnauthorizedError("this key is not known here")
        if key.scope != "write" and changes_library(scope):
            raise ForbiddenError(f"the key of {key.name!r} may read; this changes the library")


def is_open(path: str) -> bool:
    """Tell whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def changes_library(scope: Scope) -> bool:
    """Tell whether a request would change the library."""
    return scope["method"] in ("PUT", "DELETE", "PATCH") or (
        scope["method"] == "POST" and (scope["path"] + "/").startswith("/clips/")
    )
