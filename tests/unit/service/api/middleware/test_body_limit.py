from __future__ import annotations

from typing import Any

import anyio
import pytest
from exchange import Exchange, read_all
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.body_limit import BodyLimit, BodyLimits
from service.errors import BodyTimeoutError, BodyTooLargeError


async def refuse_unread(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", 400)(scope, receive, send)


def limited(app: ASGIApp, **limits: Any) -> ASGIApp:
    return BodyLimit(
        app, limits=BodyLimits(**{"max_bytes": 100, "pause_s": 5.0, "min_bytes_per_s": 0, **limits})
    )


def test_a_body_up_to_the_limit_passes() -> None:
    exchange = Exchange([b"x" * 60, b"x" * 40], content_length="100").run(limited(read_all))

    assert exchange.body == b"100 bytes"


def test_a_declared_length_over_the_limit_is_refused_before_the_application_runs() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        pytest.fail("the application was called")

    exchange = Exchange([b"x" * 101], content_length="101").run(limited(never))

    assert (exchange.status, exchange.code) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "ten", "1.5", "", "²"])
def test_an_invalid_content_length_is_refused(length: str) -> None:
    exchange = Exchange([b""])
    exchange.scope["headers"] = [(b"content-length", length.encode("latin-1"))]

    assert exchange.run(limited(read_all)).code == "request_invalid"


def test_bytes_are_counted_while_they_arrive() -> None:
    chunks = [b"x" * 60] * 3
    exchange = Exchange(chunks, transfer_encoding="chunked")

    with pytest.raises(BodyTooLargeError, match="100 bytes"):
        exchange.run(limited(read_all))

    assert len(exchange.unread) == 1  # reading stopped at the limit


def test_a_stalled_body_times_out() -> None:
    class Stalled(Exchange):
        async def receive(self) -> Message:
            await anyio.sleep_forever()
            raise AssertionError("unreachable")

    with pytest.raises(BodyTimeoutError, match=r"0\.01 s"):
        Stalled(content_length="5").run(limited(read_all, pause_s=0.01))


def test_an_unread_body_is_discarded_after_the_response() -> None:
    exchange = Exchange([b"x" * 60] * 10, transfer_encoding="chunked").run(limited(refuse_unread))

    assert exchange.body == b"no"
    assert exchange.unread == []
    assert [message.get("more_body") for message in exchange.sent] == [None, True, False]


def test_a_body_behind_100_continue_is_not_awaited() -> None:
    exchange = Exchange(content_length="60", expect="100-continue").run(limited(refuse_unread))

    assert exchange.body == b"no"
    assert len(exchange.sent) == 2
