from __future__ import annotations

import logging
from typing import Any

import anyio
import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.telemetry import Telemetry
from service.errors import InternalError
from service.observability.metrics import Metrics

SECRET = "/srv/secret/path"


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    with Request(scope).state.timings.measure("encode"):
        pass
    await PlainTextResponse("fine")(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise OSError(SECRET)


async def gone(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


async def broken_halfway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise OSError(SECRET)


def ask(
    app: ASGIApp, metrics: Metrics | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    outermost = Telemetry(
        app,
        metrics=metrics or Metrics(),
        provenance=lambda: {"minuend-bundle": "tiny-0", "minuend-fingerprint": "ab"},
    )

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(outermost)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get("/some/path?secret=1", headers=headers)

    return anyio.run(run)


@pytest.mark.parametrize("app", [fine, broken])
def test_every_response_names_bundle_request_and_timing(app: ASGIApp) -> None:
    headers = ask(app).headers

    assert headers["minuend-bundle"] == "tiny-0"
    assert headers["minuend-fingerprint"] == "ab"
    assert len(headers["x-request-id"]) == 32
    assert "total;dur=" in headers["server-timing"]


def test_a_valid_request_id_is_kept() -> None:
    response = ask(fine, headers={"x-request-id": "trace-1.2_x"})

    assert response.headers["x-request-id"] == "trace-1.2_x"


@pytest.mark.parametrize("bad", ["", "a" * 65, "two words", "semi;colon"])
def test_any_other_request_id_is_replaced(bad: str) -> None:
    assert len(ask(fine, headers={"x-request-id": bad}).headers["x-request-id"]) == 32


@pytest.mark.parametrize("error", [OSError(SECRET), InternalError(SECRET)])
def test_the_text_of_an_unexpected_error_is_logged_and_not_sent(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    response = ask(failing)

    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert SECRET not in response.text
    assert SECRET in caplog.text


def test_an_error_after_the_start_of_a_response_cuts_it_off() -> None:
    with pytest.raises(OSError, match=SECRET):
        ask(broken_halfway)


def test_one_line_is_logged_for_a_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.api.middleware.telemetry")

    ask(fine)

    (line,) = caplog.records
    values: dict[str, Any] = vars(line)
    assert (values["method"], values["path"], values["status"]) == ("GET", "/some/path", 200)
    assert values["duration_ms"] >= values["encode_ms"] >= 0
    assert "secret" not in str(values)


def test_requests_are_counted_by_status() -> None:
    metrics = Metrics()

    ask(fine, metrics)
    ask(broken, metrics)

    text = metrics.render().decode()
    assert 'minuend_requests_total{method="GET",route="none",status="200"} 1.0' in text
    assert 'minuend_requests_total{method="GET",route="none",status="500"} 1.0' in text
    assert "minuend_requests_in_flight 0.0" in text


@pytest.mark.anyio
async def test_a_disconnected_client_is_counted_with_status_499() -> None:
    metrics = Metrics()
    outermost = Telemetry(gone, metrics=metrics, provenance=dict)
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}

    async def receive() -> Any: ...

    async def send(message: Any) -> None:
        pytest.fail(f"sent {message}")

    await outermost(scope, receive, send)

    assert 'status="499"} 1.0' in metrics.render().decode()
