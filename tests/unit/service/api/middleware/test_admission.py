from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from exchange import Exchange, read_all
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.connections.pool import PROBES_ONLY
from service.api.middleware.admission import Admission, AdmissionLimits, ResponseInterval
from service.api.problems import problem_response
from service.errors import ServiceError

pytestmark = pytest.mark.anyio


def reading_after(release: anyio.Event) -> ASGIApp:
    """Make an application that reads its request once an event is set."""

    async def wait_and_read(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await read_all(scope, receive, send)

    return wait_and_read


def admitting(app: ASGIApp, **options: Any) -> Admission:
    calls = {name: options.pop(name) for name in ("on_refusal", "clock") if name in options}
    bounds = {"max_requests": 100, "max_bytes": 1000, "undeclared_bytes": 600, "max_wait_s": 60}
    limits = AdmissionLimits(**{**bounds, **options})
    return Admission(app, limits=limits, **{"on_refusal": lambda: None, **calls})


async def test_requests_beyond_the_limit_are_refused_unread_and_later_ones_admitted() -> None:
    refusals: list[int] = []
    release = anyio.Event()
    app = admitting(reading_after(release), max_requests=2, on_refusal=lambda: refusals.append(1))
    first, second, third, reading = (Exchange([b"x"]) for _ in range(4))
    reading.scope["method"] = "GET"

    async with anyio.create_task_group() as tasks:
        for exchange in (first, second, reading):
            tasks.start_soon(exchange.ask, app)
        await anyio.wait_all_tasks_blocked()
        await third.ask(app)
        release.set()
    again = Exchange([b"x"])
    await again.ask(app)
    assert again.status == 200

    assert (third.status, third.code) == (503, "overloaded")
    assert dict(third.sent[0]["headers"])[b"retry-after"] == b"1"
    assert len(third.unread) == 1
    assert [first.status, second.status, reading.status] == [200, 200, 200]
    assert refusals == [1]


def test_a_failed_request_is_no_longer_counted() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    app = admitting(fail, max_requests=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            Exchange().run(app)


async def test_the_bytes_of_all_requests_count_together() -> None:
    release = anyio.Event()
    app = admitting(reading_after(release), max_bytes=1000)
    many = [Exchange([b"x"], content_length="300") for _ in range(3)]
    last, too_much = (Exchange([b"x"], content_length=size) for size in ("100", "101"))
    undeclared = Exchange([b"x"], transfer_encoding="chunked")

    async with anyio.create_task_group() as tasks:
        for exchange in many:
            tasks.start_soon(exchange.ask, app)
        await anyio.wait_all_tasks_blocked()
        for exchange in (too_much, undeclared):
            await exchange.ask(app)
        tasks.start_soon(last.ask, app)
        await anyio.wait_all_tasks_blocked()
        release.set()

    assert [(it.status, it.code) for it in (too_much, undeclared)] == [(503, "overloaded")] * 2
    assert len(too_much.unread) == 1
    assert [exchange.status for exchange in [*many, last]] == [200] * 4


def test_a_lone_request_of_any_size_is_admitted() -> None:
    exchange = Exchange([b"x"], content_length="5000").run(admitting(read_all, max_bytes=1000))

    assert exchange.status == 200


async def test_a_request_that_would_wait_too_long_is_refused() -> None:
    release = anyio.Event()
    app = admitting(reading_after(release), max_wait_s=10)
    app._interval.mean_s = 4  # as the responses before have shown
    waiting = [Exchange([b"x"]) for _ in range(3)]
    late = Exchange([b"x"])

    async with anyio.create_task_group() as tasks:
        for exchange in waiting:
            tasks.start_soon(exchange.ask, app)
        await anyio.wait_all_tasks_blocked()
        await late.ask(app)
        release.set()

    assert [exchange.status for exchange in waiting] == [200] * 3
    assert (late.status, late.code) == (503, "overloaded")
    assert b"would take about 12 s" in late.body
    assert app._interval.mean_s < 4  # later requests are admitted sooner


def test_the_interval_follows_the_last_responses_while_requests_are_in_progress() -> None:
    times = iter([0.0, 2.0, 4.0, 1000.0, 1002.0, *(1002.0 + 5 * n for n in range(1, 100))])
    interval = ResponseInterval(clock=lambda: next(times))

    interval.begin()
    interval.add()
    interval.add()
    interval.begin()
    interval.add()
    assert interval.mean_s == pytest.approx(2 * (1 - 0.9**3))
    for _ in range(99):
        interval.add()

    assert interval.mean_s == pytest.approx(5, rel=1e-3)


class Arriving(Exchange):
    """A request whose body arrives when the test says so."""

    def __init__(self, content_length: str) -> None:
        super().__init__(content_length=content_length)
        self._sender, self._receiver = anyio.create_memory_object_stream[Message](100)

    async def receive(self) -> Message:
        return await self._receiver.receive()

    async def arrive(self, n_bytes: int, *, ends: bool = False) -> None:
        self._sender.send_nowait(
            {"type": "http.request", "body": bytes(n_bytes), "more_body": not ends}
        )
        await anyio.wait_all_tasks_blocked()

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()


def answering(app: ASGIApp) -> ASGIApp:
    """Answer with the status of an error that is raised while the body is read."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except ServiceError as error:
            await problem_response(scope, error)(scope, receive, send)

    return answer


@pytest.fixture
def arriving() -> Iterator[list[Arriving]]:
    exchanges = [Arriving("500") for _ in range(10)]
    yield exchanges
    for exchange in exchanges:
        exchange.close()


async def test_bodies_that_arrive_slowly_keep_nobody_out(arriving: list[Arriving]) -> None:
    app = admitting(read_all, max_requests=2, max_bytes=100_000)

    async with anyio.create_task_group() as tasks:
        for exchange in arriving:
            tasks.start_soon(exchange.ask, app)
            await exchange.arrive(1)
        quick = Exchange([b"x"], content_length="1")
        await quick.ask(app)
        for exchange in arriving:
            await exchange.arrive(499, ends=True)

    assert quick.status == 200
    assert [exchange.status for exchange in arriving] == [200] * 10


async def test_a_length_that_is_only_declared_holds_little() -> None:
    app = admitting(read_all, max_bytes=1_000_000)
    dripping = [Arriving("900000") for _ in range(10)]

    async with anyio.create_task_group() as tasks:
        for exchange in dripping:
            tasks.start_soon(exchange.ask, app)
            await exchange.arrive(1)
        quick = Exchange([b"x"], content_length="500000")
        await quick.ask(app)
        tasks.cancel_scope.cancel()
    for exchange in dripping:
        exchange.close()

    assert quick.status == 200


async def test_a_body_that_is_half_there_counts_as_whole() -> None:
    app = admitting(read_all, max_bytes=1_000_000)
    large = Arriving("900000")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(large.ask, app)
        await large.arrive(450_000)
        late = Exchange([b"x"], content_length="200000")
        await late.ask(app)
        await large.arrive(450_000, ends=True)
    large.close()

    assert (late.status, late.code) == (503, "overloaded")
    assert len(late.unread) == 1
    assert large.status == 200


async def test_bytes_that_find_no_room_are_refused_while_they_arrive() -> None:
    app = answering(admitting(read_all, max_bytes=1000))
    first, second = Arriving("900"), Arriving("100")

    async with anyio.create_task_group() as tasks:
        for exchange in (first, second):
            tasks.start_soon(exchange.ask, app)
            await anyio.wait_all_tasks_blocked()
        await second.arrive(600)  # more than it declared
        await first.arrive(401)
        await second.arrive(300, ends=True)
    for exchange in (first, second):
        exchange.close()

    assert (first.status, first.code) == (503, "overloaded")
    assert second.status == 200


async def test_a_request_whose_body_came_too_late_is_refused(arriving: list[Arriving]) -> None:
    release = anyio.Event()

    async def read_and_wait(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await release.wait()
        await PlainTextResponse("done")(scope, receive, send)

    app = answering(admitting(read_and_wait, max_requests=2, max_bytes=100_000))
    async with anyio.create_task_group() as tasks:
        for exchange in arriving[:3]:
            tasks.start_soon(exchange.ask, app)
        for exchange in arriving[:3]:
            await exchange.arrive(500, ends=True)
        release.set()

    assert [exchange.status for exchange in arriving[:3]] == [200, 200, 503]


async def test_slow_bodies_have_half_of_the_bytes() -> None:
    now = 0.0
    app = answering(admitting(read_all, max_bytes=1_000_000, clock=lambda: now))
    first, second = Arriving("400000"), Arriving("400000")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, app)
        await first.arrive(300_000)
        now = 11.0
        await first.arrive(1)
        tasks.start_soon(second.ask, app)
        await second.arrive(250_000)
        now = 30.0
        await second.arrive(1)  # by now as slow as the first one
        quick = Exchange([b"x"], content_length="600000")
        await quick.ask(app)
        await first.arrive(99_999, ends=True)
    for exchange in (first, second):
        exchange.close()

    assert (second.status, second.code) == (503, "overloaded")
    assert [quick.status, first.status] == [200, 200]


@pytest.mark.parametrize(("path", "status"), [("/metrics", 200), ("/clips", 503)])
def test_only_probes_are_answered_on_a_reserved_connection(path: str, status: int) -> None:
    exchange = Exchange([b""], method="GET")
    exchange.scope |= {"path": path, "state": {PROBES_ONLY: True}}

    assert exchange.run(admitting(read_all)).status == status
