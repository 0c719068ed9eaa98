"""Admission of requests: refuses those that could not be answered in time, at once.

One rule for all requests with a body. A request is counted once its body is in, so that slow
clients do not block others; until then, only the bytes that have arrived count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.connections.pool import PROBES_ONLY
from service.api.problems import problem_response
from service.errors import OverloadError

PROBES = ("/healthz", "/readyz", "/metrics")
"""Paths that are answered on reserved connections too."""
SMOOTHING = 0.9
"""Weight of the earlier mean when a response is added."""
EXPECTED_BYTES = 16 * 1024
"""Bytes that a body is expected to have at first, and beyond twice what has arrived."""
SLOW_AFTER_S = 10.0
SLOW_BYTES_PER_S = 64 * 1024
"""A body is slow if its mean rate is lower after that time [bytes/s]."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limits of the requests in progress.

    Attributes:
        max_requests: Most requests whose body is in: waiting or being worked on.
        max_bytes: Most bytes of all bodies, those that arrive too; slow ones have at most half.
        undeclared_bytes: Bytes that a body without a declared length may have.
        max_wait_s: Longest expected wait of a request, from the time between responses [s].
    """

    max_requests: int
    max_bytes: int
    undeclared_bytes: int
    max_wait_s: float


class Admission:
    """ASGI layer that admits no more requests than can be answered in time.

    Requests and their bytes are counted, so that many files in one request count as much as in
    many requests. A request beyond a limit is refused: before its body is read if the limit is
    reached then, otherwise when its body has arrived or finds no room. If there is no other
    request, a request is admitted whatever its size.

    A body that arrives is expected to have twice the bytes that it has, up to its declared length:
    so new requests are refused while large ones arrive, and a length that is only declared holds
    nothing.

    Args:
        app: The next layer.
        limits: Limits of the requests in progress.
        on_refusal: Called for each request that is refused before its body is read.
        clock: Returns the time of a steady clock [s].
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: AdmissionLimits,
        on_refusal: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._limits = limits
        self._on_refusal = on_refusal
        self._clock = clock
        self._interval = ResponseInterval(clock)
        self._n_uploads = 0
        self._n_requests = 0
        self._expected_bytes = 0
        self._arrived_bytes = 0
        self._slow_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope.get("state", {}).get(PROBES_ONLY) and scope["path"] not in PROBES:
            error = OverloadError("there are too many connections; try again soon")
            self._on_refusal()
            await problem_response(scope, error, connection="close")(scope, receive, send)
            return
        if scope["method"] not in ("POST", "PUT"):
            await self._app(scope, receive, send)
            return
        upload = self._make_upload(Headers(scope=scope))
        if (refusal := self._refusal(upload.most_bytes)) is not None:
            self._on_refusal()
            error = OverloadError(f"{refusal}; try again soon")
            await problem_response(scope, error)(scope, receive, send)
            return
        self._begin(upload)
        try:
            await self._app(scope, self._receiver(upload, receive), send)
        finally:
            self._end(upload)

    def _make_upload(self, headers: Headers) -> _Upload:
        declared = headers.get("content-length")
        if declared is not None:
            return _Upload(int(declared), self._clock())
        is_chunked = "transfer-encoding" in headers
        return _Upload(self._limits.undeclared_bytes if is_chunked else 0, self._clock())

    def _receiver(self, upload: _Upload, receive: Receive) -> Receive:
        """Return `receive` that counts a body while it arrives."""

        async def receive_and_count() -> Message:
            message = await receive()
            if not upload.is_complete and message["type"] == "http.request":
                self._add(upload, len(message.get("body", b"")))
                if not message.get("more_body", False):
                    self._complete(upload)
            return message

        return receive_and_count

    def _begin(self, upload: _Upload) -> None:
        self._n_uploads += 1
        self._expect(upload)
        if upload.most_bytes == 0:
            self._complete(upload)

    def _add(self, upload: _Upload, n_bytes: int) -> None:
        """Count bytes of a body that arrived.

        Raises:
            OverloadError: There is no room for them.
        """
        upload.n_bytes += n_bytes
        self._arrived_bytes += n_bytes
        age_s = self._clock() - upload.start
        if upload.is_slow:
            self._slow_bytes += n_bytes
        elif age_s > SLOW_AFTER_S and upload.n_bytes < SLOW_BYTES_PER_S * age_s:
            upload.is_slow = True
            self._slow_bytes += upload.n_bytes
        self._expect(upload)
        limit = self._limits.max_bytes
        if self._n_uploads > 1 and self._arrived_bytes > limit:
            raise OverloadError(f"all bodies together have more than {limit} bytes; try again soon")
        if upload.is_slow and self._n_uploads > 1 and self._slow_bytes > limit // 2:
            raise OverloadError(f"slow bodies have more than {limit // 2} bytes; try again soon")

    def _complete(self, upload: _Upload) -> None:
        """Count a request whose body is in.

        Raises:
            OverloadError: Meanwhile there are too many.
        """
        upload.is_complete = True
        self._expect(upload)
        if (refusal := self._queue_refusal()) is not None:
            raise OverloadError(f"{refusal}; try again soon")
        if not self._n_requests:
            self._interval.begin()
        self._n_requests += 1
        upload.is_counted = True

    def _end(self, upload: _Upload) -> None:
        self._n_uploads -= 1
        self._arrived_bytes -= upload.n_bytes
        self._slow_bytes -= upload.n_bytes if upload.is_slow else 0
        self._expected_bytes -= upload.expected_bytes
        if upload.is_counted:
            self._interval.add()
            self._n_requests -= 1

    def _expect(self, upload: _Upload) -> None:
        self._expected_bytes -= upload.expected_bytes
        upload.expected_bytes = upload.n_bytes
        if not upload.is_complete and not upload.is_slow:
            expected_bytes = 2 * upload.n_bytes + EXPECTED_BYTES
            upload.expected_bytes = max(upload.n_bytes, min(expected_bytes, upload.most_bytes))
        self._expected_bytes += upload.expected_bytes

    def _refusal(self, n_bytes: int) -> str | None:
        if not self._n_uploads:
            return None
        limit = self._limits.max_bytes
        if self._expected_bytes + n_bytes > limit:
            return (
                f"the requests in progress have {self._expected_bytes} bytes and this one has "
                f"{n_bytes}; {limit} are allowed"
            )
        return self._queue_refusal()

    def _queue_refusal(self) -> str | None:
        n_requests = self._n_requests
        if not n_requests:
            return None
        if n_requests >= self._limits.max_requests:
            return f"{n_requests} requests are in progress, which is the most allowed"
        wait_s = n_requests * self._interval.mean_s
        if wait_s > self._limits.max_wait_s:
            return f"the {n_requests} requests before this one would take about {wait_s:.0f} s"
        return None


@dataclass(slots=True)
class _Upload:
    """One request: its body, and whether it counts as one in progress."""

    most_bytes: int
    start: float
    n_bytes: int = 0
    expected_bytes: int = 0
    is_slow: bool = False
    is_complete: bool = False
    is_counted: bool = False


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
