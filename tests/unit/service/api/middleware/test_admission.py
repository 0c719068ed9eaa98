from __future__ import annotations

from typing import Any

import anyio
import pytest
from exchange import Exchange, read_all
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.admission import Admission, AdmissionLimits, ResponseInterval

pytestmark = pytest.mark.anyio


def reading_after(release: anyio.Event) -> ASGIApp:
    """Make an application that reads its request once an event is set."""

    async def wait_and_read(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await read_all(scope, receive, send)

    return wait_and_read


def admitting(app: ASGIApp, **options: Any) -> Admission:
    on_refusal = options.pop("on_refusal", lambda: None)
    bounds = {"max_requests": 100, "max_bytes": 1000, "undeclared_bytes": 600, "max_wait_s": 60}
    return Admission(app, limits=AdmissionLimits(**{**bounds, **options}), on_refusal=on_refusal)


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
