"""Traces by OpenTelemetry: a span for each request, and a child span for each of its phases.

Needs the extra `otel`. OpenTelemetry's own variables set the endpoint, the name of the service and
the sampling: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and so on.
"""

from __future__ import annotations

import time
from typing import Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from service import __version__
from service.concurrency.timings import RequestTimings

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths of probes and scrapes, which are not traced."""


class Tracing:
    """Traces the requests of one application.

    Args:
        provider: Receives the spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("minuend", __version__)

    @classmethod
    def open(cls) -> Self:
        """Return an instance that exports by OTLP over HTTP from its own thread."""
        named = Resource({"service.name": "minuend", "service.version": __version__})
        provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def close(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()

    def begin(self, scope: Scope, request_id: str) -> Trace | None:
        """Begin the span of a request, within the trace of its `traceparent` header.

        Args:
            scope: The request.
            request_id: Id of its log lines.
        """
        if scope["path"] in UNTRACED:
            return None
        parent = TraceContextTextMapPropagator().extract(Headers(scope=scope))
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "minuend.request_id": request_id,
        }
        span = self._tracer.start_span(
            scope["method"], context=parent, kind=SpanKind.SERVER, attributes=attributes
        )
        return Trace(self._tracer, span, scope["method"])


class Trace:
    """The trace of one request; made by `Tracing.begin`."""

    def __init__(self, tracer: Tracer, span: Span, method: str) -> None:
        self._tracer = tracer
        self._span = span
        self._method = method

    @property
    def trace_id(self) -> str:
        """The id of the trace, 32 hexadecimal digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def end(self, *, route: str, status: int, timings: RequestTimings) -> None:
        """Add the spans of the phases and end the span.

        A phase that was entered more than once is one span, from its first begin to its last end;
        its attribute `minuend.busy_s` is the time spent in it [s].

        Args:
            route: Pattern of the path; "none" if no route matches.
            status: HTTP status of the response.
            timings: Times of the phases.
        """
        context = set_span_in_context(self._span)
        epoch_ns = time.time_ns() - time.perf_counter_ns()
        for phase, (start, end) in timings.spans.items():
            child = self._tracer.start_span(
                phase,
                context=context,
                attributes={"minuend.busy_s": timings.seconds[phase]},
                start_time=epoch_ns + round(1e9 * start),
            )
            child.end(epoch_ns + round(1e9 * end))
        if route != "none":
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
