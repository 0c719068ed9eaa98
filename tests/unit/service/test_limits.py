from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTimeoutError, BodyTooLargeError
from service.limits import Admission, BodyLimit, HeadAsGet


class Exchange:
    """One request and what was sent in answer."""

    def __init__(
        self, chunks: Iterable[bytes] = (), *, method: str = "POST", **headers: str
    ) -> None:
        parts = list(chunks)
        self.scope: Scope = {
            "type": "http",
            "method": method,
            "path": "/",
            "query_string": b"",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
        self.unread: list[Message] = [
            {"type": "http.request", "body": part, "more_body": n < len(parts)}
            for n, part in enumerate(parts, 1)
        ]
        self.sent: list[Message] = []

    def run(self, app: ASGIApp) -> Exchange:
        anyio.run(app, self.scope, self.receive, self.send)
        return self

    async def receive(self) -> Message:
        return self.unread.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def code(self) -> str:
        return str(orjson.loads(self.body)["code"])


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)


async def refuse_unread(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", 400)(scope, receive, send)


def limited(app: ASGIApp, **limits: Any) -> ASGIApp:
    return BodyLimit(app, **{"max_body_bytes": 100, "timeout_s": 5.0, **limits})


def test_a_body_up_to_the_limit_passes() -> None:
    exchange = Exchange([b"x" * 60, b"x" * 40], content_length="100").run(limited(read_all))

    assert exchange.body == b"100 bytes"


def test_a_declared_length_over_the_limit_is_refused_before_the_application_is_asked() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        pytest.fail("the application was asked")

    exchange = Exchange([b"x" * 101], content_length="101").run(limited(never))

    assert (exchange.status, exchange.code) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "ten", "1.5", "", "²"])
def test_a_declared_length_that_is_none_is_refused(length: str) -> None:
    exchange = Exchange([b""])
    exchange.scope["headers"] = [(b"content-length", length.encode("latin-1"))]

    assert exchange.run(limited(read_all)).code == "request_invalid"


def test_bytes_are_counted_as_they_come_whatever_is_declared() -> None:
    chunks = [b"x" * 60] * 3
    exchange = Exchange(chunks, transfer_encoding="chunked")

    with pytest.raises(BodyTooLargeError, match="100 bytes"):
        exchange.run(limited(read_all))

    assert len(exchange.unread) == 1  # reading stopped at the limit


def test_a_body_that_stalls_is_given_up() -> None:
    class Stalled(Exchange):
        async def receive(self) -> Message:
            await anyio.sleep_forever()
            raise AssertionError("unreachable")

    with pytest.raises(BodyTimeoutError, match=r"0\.01 s"):
        Stalled(content_length="5").run(limited(read_all, timeout_s=0.01))


def test_an_unread_body_is_thrown_away_after_the_answer() -> None:
    exchange = Exchange([b"x" * 60] * 10, transfer_encoding="chunked").run(limited(refuse_unread))

    assert exchange.body == b"no"
    assert exchange.unread == []
    assert [message.get("more_body") for message in exchange.sent] == [None, True, False]


def test_a_body_that_the_client_holds_back_is_not_waited_for() -> None:
    exchange = Exchange(content_length="60", expect="100-continue").run(limited(refuse_unread))

    assert exchange.body == b"no"
    assert len(exchange.sent) == 2


def admitting(app: ASGIApp, **options: Any) -> Admission:
    bounds = {"max_requests": 100, "max_bytes": 1000, "undeclared_bytes": 600}
    return Admission(app, **{**bounds, "on_refusal": lambda: None, **options})


def test_requests_beyond_the_capacity_are_refused_unread_and_later_ones_let_in() -> None:
    refusals: list[int] = []
    release = anyio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await read_all(scope, receive, send)

    app = admitting(slow, max_requests=2, on_refusal=lambda: refusals.append(1))
    first, second, third, reading = (Exchange([b"x"]) for _ in range(4))
    reading.scope["method"] = "GET"

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            for exchange in (first, second, reading):
                tasks.start_soon(app, exchange.scope, exchange.receive, exchange.send)
            await anyio.wait_all_tasks_blocked()
            await app(third.scope, third.receive, third.send)
            release.set()
        again = Exchange([b"x"])
        await app(again.scope, again.receive, again.send)
        assert again.status == 200

    anyio.run(scenario)
    assert (third.status, third.code) == (503, "overloaded")
    assert dict(third.sent[0]["headers"])[b"retry-after"] == b"1"
    assert len(third.unread) == 1
    assert [first.status, second.status, reading.status] == [200, 200, 200]
    assert refusals == [1]


def test_a_failed_request_gives_its_place_back() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    app = admitting(fail, max_requests=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            Exchange().run(app)


def test_head_is_get_without_the_body() -> None:
    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["method"])(scope, receive, send)

    exchange = Exchange(method="HEAD").run(HeadAsGet(show))

    assert dict(exchange.sent[0]["headers"])[b"content-length"] == b"3"
    assert exchange.body == b""


def test_the_bytes_of_all_requests_count_together_however_they_are_divided() -> None:
    release = anyio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await read_all(scope, receive, send)

    app = admitting(slow, max_bytes=1000)
    many = [Exchange([b"x"], content_length="300") for _ in range(3)]
    last, too_much = (Exchange([b"x"], content_length=size) for size in ("100", "101"))
    undeclared = Exchange([b"x"], transfer_encoding="chunked")

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            for exchange in many:
                tasks.start_soon(app, exchange.scope, exchange.receive, exchange.send)
            await anyio.wait_all_tasks_blocked()
            for exchange in (too_much, undeclared):
                await app(exchange.scope, exchange.receive, exchange.send)
            tasks.start_soon(app, last.scope, last.receive, last.send)
            await anyio.wait_all_tasks_blocked()
            release.set()

    anyio.run(scenario)
    assert [(it.status, it.code) for it in (too_much, undeclared)] == [(503, "overloaded")] * 2
    assert len(too_much.unread) == 1
    assert [exchange.status for exchange in [*many, last]] == [200] * 4


def test_a_lone_request_is_let_in_whatever_its_size() -> None:
    exchange = Exchange([b"x"], content_length="5000").run(admitting(read_all, max_bytes=1000))

    assert exchange.status == 200
