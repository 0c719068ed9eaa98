"""Admission of requests: refuses those that could not be answered in time, at once.

One rule for all requests with a body, applied before the body is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import OverloadError

SMOOTHING = 0.9
"""Weight of the earlier mean when a response is added."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limits of the requests in progress: being read, waiting or being worked on.

    Attributes:
        max_requests: Most requests.
        max_bytes: Most bytes of all their bodies, as declared.
        undeclared_bytes: Bytes that a body without a declared length counts as.
        max_wait_s: Longest expected wait of a request, from the time between responses [s].
    """

    max_requests: int
    max_bytes: int
    undeclared_bytes: int
    max_wait_s: float


class Admission:
    """ASGI layer that admits no more requests than can be answered in time.

    Requests and their declared bytes are counted, so that many files in one request count as much
    as in many requests. A request beyond a limit is refused at once. If no other request is in
    progress, a request is admitted whatever its size.

    Args:
        app: The next layer.
        limits: Limits of the requests in progress.
        on_refusal: Called for each refused request.
    """

    def __init__(
        self, app: ASGIApp, *, limits: AdmissionLimits, on_refusal: Callable[[], None]
    ) -> None:
        self._app = app
        self._limits = limits
        self._on_refusal = on_refusal
        self._interval = ResponseInterval()
        self._n_requests = 0
        self._n_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            await self._app(scope, receive, send)
            return
        n_bytes = self._count_bytes(Headers(scope=scope))
        if (refusal := self._refusal(n_bytes)) is not None:
            self._on_refusal()
            error = OverloadError(f"{refusal}; try again soon")
            await problem_response(scope, error)(scope, receive, send)
            return
        if not self._n_requests:
            self._interval.begin()
        self._n_requests += 1
        self._n_bytes += n_bytes
        try:
            await self._app(scope, receive, send)
        finally:
            self._interval.add()
            self._n_requests -= 1
            self._n_bytes -= n_bytes

    def _count_bytes(self, headers: Headers) -> int:
        declared = headers.get("content-length")
        if declared is not None:
            return int(declared)
        return self._limits.undeclared_bytes if "transfer-encoding" in headers else 0

    def _refusal(self, n_bytes: int) -> str | None:
        limits, n_requests = self._limits, self._n_requests
        if not n_requests:
            return None
        if n_requests >= limits.max_requests:
            return f"{n_requests} requests are in progress, which is the most allowed"
        if self._n_bytes + n_bytes > limits.max_bytes:
            return (
                f"the requests being worked on have {self._n_bytes} bytes and this one has "
                f"{n_bytes}; {limits.max_bytes} are allowed"
            )
        wait_s = n_requests * self._interval.mean_s
        if wait_s > limits.max_wait_s:
            return f"the {n_requests} requests before this one would take about {wait_s:.0f} s"
        return None


class ResponseInterval:
    """Mean time between two responses while requests are in progress.

    Attributes:
        mean_s: The time, 0 before the first response [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = 0.0
        self.mean_s = 0.0

    def begin(self) -> None:
        """Start measuring, as a request arrives after none was in progress."""
        self._last = self._clock()

    def add(self) -> None:
        """Add a response."""
        now = self._clock()
        interval_s, self._last = now - self._last, now
        self.mean_s = SMOOTHING * self.mean_s + (1 - SMOOTHING) * interval_s
