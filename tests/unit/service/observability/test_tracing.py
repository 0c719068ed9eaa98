from __future__ import annotations

from pathlib import Path

import anyio
import httpx
import pytest
import service_client
import synth
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from recorder import recording
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.telemetry import Telemetry
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"


async def two_phases(scope: Scope, receive: Receive, send: Send) -> None:
    timings = Request(scope).state.timings
    for name in ("decode", "encode", "decode"):
        with timings.measure(name):
            pass
    await PlainTextResponse("fine")(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise OSError("a detail")


def trace(app: ASGIApp, path: str = "/some/path", **headers: str) -> tuple[ReadableSpan, ...]:
    """Return the spans of one request, in the order in which they ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced = Telemetry(app, metrics=Metrics(), provenance=dict, tracing=Tracing(provider))

    async def run() -> None:
        transport = httpx.ASGITransport(traced)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            await client.get(f"{path}?secret=1", headers=headers)

    anyio.run(run)
    return exporter.get_finished_spans()


def test_phases_are_children_of_the_request() -> None:
    decode, encode, request = trace(two_phases)

    assert request.kind is SpanKind.SERVER
    assert request.parent is None
    assert request.context is not None
    for child in (decode, encode):
        assert child.parent is not None
        assert child.parent.span_id == request.context.span_id
    assert (decode.name, encode.name) == ("decode", "encode")


def test_spans_are_nested_and_repeated_phases_are_one_span() -> None:
    decode, encode, request = trace(two_phases)

    times = [(span.start_time or 0, span.end_time or 0) for span in (decode, encode, request)]
    (decode_start, decode_end), (encode_start, encode_end), (start, end) = times
    assert start <= end
    assert decode_start <= encode_start <= encode_end <= decode_end
    assert decode.attributes is not None
    busy_s = decode.attributes["minuend.busy_s"]
    assert isinstance(busy_s, float)
    # Two readings of a clock of nanoseconds; the span holds the encoding as well.
    assert 0 < busy_s <= (decode_end - decode_start) / 1e9 + 1e-6


def test_a_request_span_has_method_path_and_status_but_no_query() -> None:
    *_, request = trace(two_phases, **{"x-request-id": "abc"})

    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "url.path": "/some/path",
        "minuend.request_id": "abc",
        "http.response.status_code": 200,
    }
    assert request.status.status_code is StatusCode.UNSET


def test_the_trace_of_a_traceparent_is_continued() -> None:
    *_, request = trace(two_phases, traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01")

    assert request.context is not None
    assert request.parent is not None
    assert f"{request.context.trace_id:032x}" == TRACE_ID
    assert f"{request.parent.span_id:016x}" == PARENT_ID


def test_an_invalid_traceparent_is_ignored() -> None:
    *_, request = trace(two_phases, traceparent="00-nonsense")

    assert request.parent is None


def test_an_internal_error_is_marked_and_its_text_is_not_exported() -> None:
    (request,) = trace(broken)

    assert request.status.status_code is StatusCode.ERROR
    assert "a detail" not in request.to_json()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_not_traced(path: str) -> None:
    assert trace(two_phases, path) == ()


def test_traces_reach_the_collector_that_the_environment_names(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording() as (port, recorded):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        with service_client.serving(tiny_bundle_path, tmp_path) as client:
            response = client.post("/search", files={"audio": synth.encode(synth.tone(440))})

    assert response.status_code == 200
    assert {path for path, _, _ in recorded} == {"/v1/traces"}
    received = [ExportTraceServiceRequest.FromString(content) for _, _, content in recorded]
    (resource,) = [spans for export in received for spans in export.resource_spans]
    named = {it.key: it.value.string_value for it in resource.resource.attributes}
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert named["service.name"] == "minuend"
    assert spans.keys() >= {"POST /search", "decode", "encode", "search"}
    request = spans.pop("POST /search")
    assert {span.parent_span_id for span in spans.values()} == {request.span_id}
