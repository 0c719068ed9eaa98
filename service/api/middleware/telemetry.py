"""What every request leaves behind: an id, a log line, numbers for Prometheus, timings.

`Telemetry` is the outermost layer of the application, so that errors of all other layers carry the
same headers and are counted, and no exception leaves it.
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

CLIENT_GONE = 499
"""The status that is logged and counted when a client left before its answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Telemetry:
    """The outermost ASGI layer.

    Args:
        app: What answers.
        metrics: Where requests are counted.
        provenance: Returns the headers that name the bundle.
        tracing: Makes traces of requests; none if not given.
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
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(scope, self._provenance())
        if self._tracing is not None:
            call.trace = self._tracing.begin(scope, call.request_id)
        token = request_id.set(call.request_id)
        self._metrics.in_flight.inc()
        try:
            await self._answer(call, receive, call.sender(send))
        finally:
            self._metrics.in_flight.dec()
            self._record(call)
            request_id.reset(token)

    async def _answer(self, call: _Call, receive: Receive, send: Send) -> None:
        try:
            await self._app(call.scope, receive, send)
        except (ClientDisconnect, ClientDisconnectedError):
            call.status = CLIENT_GONE
        except Exception:
            logger.exception("unexpected error")
            if call.status is not None:
                raise  # the answer has begun; all that is left is to cut the connection
            error = InternalError("unexpected")
            await problem_response(call.scope, error)(call.scope, receive, send)

    def _record(self, call: _Call) -> None:
        route = getattr(call.scope.get("route"), "path", "none")
        status = call.status or CLIENT_GONE
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
    """One request on its way."""

    def __init__(self, scope: Scope, headers: dict[str, str]) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self.timings = RequestTimings()
        self.scope = scope
        self.method: str = scope["method"]
        self.start = time.perf_counter()
        self.status: int | None = None
        self.trace: Trace | None = None
        self._headers = {**headers, "x-request-id": self.request_id}
        scope.setdefault("state", {})
        scope["state"].update(request_id=self.request_id, timings=self.timings)

    def sender(self, send: Send) -> Send:
        """Return `send` with the common headers put into the start of the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers["x-content-type-options"] = "nosniff"
                total = f"total;dur={1000 * (time.perf_counter() - self.start):.2f}"
                headers["server-timing"] = ", ".join(
                    filter(None, (self.timings.server_timing(), total))
                )
            await send(message)

        return send_with_headers
