"""What is refused before it costs anything: work beyond what can be done in time.

The rule is one for all requests with a body, and is applied before the body is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import OverloadError

MEMORY = 0.9
"""How much of the pace of before is kept with each answer."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """What may be in the house at a time: being read, waiting, at work.

    Attributes:
        max_requests: Most requests.
        max_bytes: Most bytes that they declare together.
        undeclared_bytes: What a body of no declared length counts as [bytes].
        max_wait_s: Longest wait that a request may have to expect, by the pace of the last
            answers [s].
    """

    max_requests: int
    max_bytes: int
    undeclared_bytes: int
    max_wait_s: float


class Admission:
    """ASGI layer that lets no more requests in than can be answered in time.

    Counted are the requests, and the bytes that they declare, so that many files in one request
    weigh what they would weigh in as many requests. Beyond either bound, or if its turn would come
    too late, a request is refused at once. A lone request is let in whatever its size.

    Args:
        app: What answers.
        limits: What may be in the house.
        on_refusal: Called for each one refused.
    """

    def __init__(
        self, app: ASGIApp, *, limits: AdmissionLimits, on_refusal: Callable[[], None]
    ) -> None:
        self._app = app
        self._limits = limits
        self._on_refusal = on_refusal
        self._pace = Pace()
        self._n_requests = 0
        self._n_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            await self._app(scope, receive, send)
            return
        n_bytes = self._weigh(Headers(scope=scope))
        if (refusal := self._refusal(n_bytes)) is not None:
            self._on_refusal()
            error = OverloadError(f"{refusal}; try again soon")
            await problem_response(scope, error)(scope, receive, send)
            return
        if not self._n_requests:
            self._pace.begin()
        self._n_requests += 1
        self._n_bytes += n_bytes
        try:
            await self._app(scope, receive, send)
        finally:
            self._pace.note()
            self._n_requests -= 1
            self._n_bytes -= n_bytes

    def _weigh(self, headers: Headers) -> int:
        declared = headers.get("content-length")
        if declared is not None:
            return int(declared)
        return self._limits.undeclared_bytes if "transfer-encoding" in headers else 0

    def _refusal(self, n_bytes: int) -> str | None:
        limits, n_requests = self._limits, self._n_requests
        if not n_requests:
            return None
        if n_requests >= limits.max_requests:
            return f"{n_requests} requests are being worked on, the most that are let in"
        if self._n_bytes + n_bytes > limits.max_bytes:
            return (
                f"the requests being worked on have {self._n_bytes} bytes and this one has "
                f"{n_bytes}; {limits.max_bytes} are let in"
            )
        wait_s = n_requests * self._pace.mean_s
        if wait_s > limits.max_wait_s:
            return f"the {n_requests} requests before this one would take about {wait_s:.0f} s"
        return None


class Pace:
    """The mean time from one answer to the next while there was something to do.

    Attributes:
        mean_s: The time, 0 as long as there was no answer [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = 0.0
        self.mean_s = 0.0

    def begin(self) -> None:
        """Note that there is something to do again."""
        self._last = self._clock()

    def note(self) -> None:
        """Note an answer."""
        now = self._clock()
        took_s, self._last = now - self._last, now
        self.mean_s = MEMORY * self.mean_s + (1 - MEMORY) * took_s
