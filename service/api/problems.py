"""Errors as responses: problem details (RFC 9457) with a stable `code` and the request id."""

from __future__ import annotations

import http
import logging
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from service.errors import (
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    NotReadyError,
    OverloadError,
    RequestInvalidError,
    ServiceError,
    StorageFullError,
    UnavailableError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable; branch on this.")
    request_id: str
    parts: dict[str, str] | None = Field(
        None, description="With `not_ready`: each part that does not work, and why."
    )


def problem_response(scope: Scope, error: ServiceError, **headers: str) -> Response:
    """Return the response for an error.

    The detail of an `InternalError` is not sent, since it may name paths or hold data.
    """
    request_id = scope.get("state", {}).get("request_id")
    detail = error.detail
    if isinstance(error, InternalError):
        detail = "the fault is on this side; the log has more under this request_id"
    if isinstance(error, UnavailableError) and not isinstance(error, StorageFullError):
        headers["retry-after"] = str(RETRY_AFTER_S)
    body: dict[str, Any] = {
        "type": f"urn:minuend:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": detail,
        "instance": scope["path"],
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, NotReadyError) and error.parts:
        body["parts"] = error.parts
    return Response(orjson.dumps(body), error.status, headers, MEDIA_TYPE)


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """Return the methods of the path of `scope`; none if there is no such path."""
    allowed = []
    for method in METHODS:
        probe = {**scope, "method": "GET" if method == "HEAD" else method}
        if any(route.matches(probe)[0] is Match.FULL for route in app.router.routes):
            allowed.append(method)
    return [*allowed, "OPTIONS"] if allowed else []


def install_handlers(app: FastAPI, *, on_overload: Callable[[], None]) -> None:
    """Turn every error of a route of `app` into a problem response.

    Args:
        app: The application.
        on_overload: Called for each request that a route refuses with an `OverloadError`.
    """

    @app.exception_handler(ServiceError)
    async def on_service_error(request: Request, error: ServiceError) -> Response:
        if isinstance(error, OverloadError):
            on_overload()
        if isinstance(error, InternalError):
            logger.error("%s: %s", error.title, error.detail)
        return problem_response(request.scope, error)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        return _from_http(app, request, error)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        return problem_response(request.scope, RequestInvalidError("; ".join(faults)))


def _from_http(app: FastAPI, request: Request, error: HTTPException) -> Response:
    path = request.url.path
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        allow = ", ".join(allowed_methods(app, request.scope))
        if request.method == "OPTIONS":
            return Response(status_code=http.HTTPStatus.NO_CONTENT, headers={"allow": allow})
        refusal = MethodNotAllowedError(f"{path} takes {allow}")
        return problem_response(request.scope, refusal, allow=allow)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        return problem_response(request.scope, NotFoundError(f"there is nothing at {path}"))
    return problem_response(request.scope, RequestInvalidError(str(error.detail)))
