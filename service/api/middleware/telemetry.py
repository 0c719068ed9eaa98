"""Id, log line, metrics, timings and trace of every request.

`Telemetry` is the outermost layer, so that errors of all other layers have the same headers and are
counted, and no exception leaves the application.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.concurrency.deadline import ClientDisconnectedError
from service.concurrency.timings import RequestTimings
from service.errors import InternalError
from service.observability.logs import request_id
from service.observability.metrics import Metrics

if TYPE_CHECKING:  # its packages are those of the extra `otel`
    from service.observability.tracing import Trace, Tracing

logger = logging.getLogger(__name__)

CLIENT_DISCONNECTED = 499
"""Status that is logged and counted if the client disconnected before the response."""

SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'; sandbox"
"""Policy of responses without one: stored content is shown or played, and can run nothing."""
ALWAYS = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
"""Headers of every response."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Telemetry:
    """The outermost ASGI layer.

    Args:
        app: The next layer.
        metrics: Counts the requests.
        provenance: Returns the headers that name the bundle.
        tracing: Traces the requests; None for no traces.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        provenance: Callable[[], dict[str, str]],
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._provenance = provenance
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(scope, self._provenance())
        if self._tracing is not None:
            call.trace = self._tracing.begin(scope, call.request_id)
        token = request_id.set(call.request_id)
        self._metrics.in_flight.inc()
        try:
            await self._run(call, receive, call.sender(send))
        finally:
            self._metrics.in_flight.dec()
            self._record(call)
            request_id.reset(token)

    async def _run(self, call: _Call, receive: Receive, send: Send) -> None:
        try:
            await self._app(call.scope, receive, send)
        except (ClientDisconnect, ClientDisconnectedError):
            call.status = CLIENT_DISCONNECTED
        except Exception:
            logger.exception("unexpected error")
            if call.status is not None:
                raise  # the response has begun, so the connection can only be cut
            error = InternalError("unexpected")
            await problem_response(call.scope, error)(call.scope, receive, send)

    def _record(self, call: _Call) -> None:
        route = getattr(call.scope.get("route"), "path", "none")
        status = call.status or CLIENT_DISCONNECTED
        took_s = time.perf_counter() - call.start
        self._metrics.observe(
            method=call.method, route=route, status=status, took_s=took_s, timings=call.timings
        )
        logger.info(
            "request",
            extra={
                "method": call.method,
                "path": call.scope["path"],
                "status": status,
                "duration_ms": round(1000 * took_s, 2),
                "trace_id": call.trace and call.trace.trace_id,
                **{f"{name}_ms": round(1000 * s, 2) for name, s in call.timings.seconds.items()},
            },
        )
        if call.trace is not None:
            call.trace.end(route=route, status=status, timings=call.timings)


class _Call:
    """One request and its response."""

    def __init__(self, scope: Scope, headers: dict[str, str]) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self.timings = RequestTimings()
        self.scope = scope
        self.method: str = scope["method"]
        self.start = time.perf_counter()
        self.status: int | None = None
        self.trace: Trace | None = None
        self._headers = {**ALWAYS, **headers, "x-request-id": self.request_id}
        scope.setdefault("state", {})
        scope["state"].update(request_id=self.request_id, timings=self.timings)

    def sender(self, send: Send) -> Send:
        """Return `send` that adds the common headers to the start of the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("content-security-policy", SANDBOX)
                total = f"total;dur={1000 * (time.perf_counter() - self.start):.2f}"
                headers["server-timing"] = ", ".join(
                    filter(None, (self.timings.server_timing(), total))
                )
            await send(message)

        return send_with_headers
