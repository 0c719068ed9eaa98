from __future__ import annotations

from typing import Any

import anyio
import pytest
from exchange import Exchange
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.disconnect import DisconnectWatcher
from service.concurrency.deadline import Deadline, current_deadline
from service.concurrency.timings import RequestTimings

pytestmark = pytest.mark.anyio


class WatchedExchange(Exchange):
    """One request whose client stays until the event `left` is set."""

    def __init__(self, *bodies: bytes, method: str = "POST", **headers: str) -> None:
        super().__init__(bodies, method=method, **headers)
        self.deadline = Deadline()
        self.scope["state"] = {"timings": RequestTimings(self.deadline)}
        self.left = anyio.Event()

    async def receive(self) -> Message:
        if self.unread:
            return await super().receive()
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def watch(self, app: ASGIApp) -> None:
        await self.ask(DisconnectWatcher(app, deadline_s=5))


async def read(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body.decode())(scope, receive, send)


async def test_the_deadline_starts_at_the_end_of_the_body() -> None:
    exchange = WatchedExchange(b"one", b"two")

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert exchange.deadline.left_s is None
        await receive()
        assert 0 < (exchange.deadline.left_s or 0) <= 5

    await exchange.watch(look)


async def test_a_disconnect_is_noticed_while_the_application_works() -> None:
    exchange = WatchedExchange(b"all")

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        exchange.left.set()
        while not exchange.deadline.is_over:
            await anyio.lowlevel.checkpoint()
        assert (await receive())["type"] == "http.disconnect"

    await exchange.watch(work)


async def test_a_disconnect_within_the_body_is_noticed() -> None:
    exchange = WatchedExchange()
    exchange.left.set()

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"

    await exchange.watch(work)
    assert exchange.deadline.is_over


async def test_no_task_remains_after_the_response() -> None:
    exchange, before = WatchedExchange(b"all"), anyio.get_running_tasks()
    await exchange.watch(read)
    await anyio.wait_all_tasks_blocked()

    assert exchange.sent[1]["body"] == b"all"
    assert anyio.get_running_tasks() == before


@pytest.mark.parametrize(("header", "limit_s"), [("2.5", 2.5), ("100", 5.0)])
async def test_a_client_can_shorten_the_deadline_but_not_extend_it(
    header: str, limit_s: float
) -> None:
    exchange = WatchedExchange(b"all", minuend_deadline_s=header)
    await exchange.watch(read)
    left_s: Any = exchange.deadline.left_s
    assert limit_s - 2 < left_s <= limit_s


@pytest.mark.parametrize("header", ["0", "-1", "soon", "nan", "inf", ""])
async def test_an_invalid_deadline_is_refused(header: str) -> None:
    exchange = WatchedExchange(b"all", minuend_deadline_s=header)
    await exchange.watch(read)
    assert (exchange.status, exchange.code) == (422, "request_invalid")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_without_a_body_has_a_deadline_and_its_disconnect_is_noticed(
    method: str,
) -> None:
    """Its handler receives nothing."""
    exchange = WatchedExchange(b"", b"", method=method)

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        assert 0 < (exchange.deadline.left_s or 0) <= 5
        assert current_deadline() is exchange.deadline
        exchange.left.set()
        while not exchange.deadline.is_over:
            await anyio.lowlevel.checkpoint()
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    await exchange.watch(work)
    assert current_deadline() is None


async def test_the_deadline_of_a_get_does_not_wait_for_a_body_that_nobody_reads() -> None:
    exchange = WatchedExchange(b"more", b"and more", method="GET", content_length="12")

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        assert 0 < (exchange.deadline.left_s or 0) <= 5

    await exchange.watch(work)
