from __future__ import annotations

import asyncio
import errno
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from service.api.connections.opening import (
    OTHER_FILES,
    handle_accept_errors,
    open_pool,
    raise_file_limit,
)
from service.api.connections.pool import ConnectionPool
from service.observability.metrics import Metrics
from service.settings import Settings


class Limits:
    """The limits of open files of a process."""

    def __init__(self, soft: int, hard: int, *, is_fixed: bool = False) -> None:
        self.now = (soft, hard)
        self._is_fixed = is_fixed

    def get(self, kind: int) -> tuple[int, int]:
        return self.now

    def set(self, kind: int, limits: tuple[int, int]) -> None:
        if self._is_fixed:
            raise PermissionError
        self.now = limits


def use(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Limits:
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    return limits


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("soft", "hard", "is_fixed", "allowed"),
    [
        (1024, 1_000_000, False, 5000),
        (1024, 4096, False, 4096),
        (1024, 4096, True, 1024),
        (8000, 8000, False, 8000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, False, 5000),
        (1024, resource.RLIM_INFINITY, False, 5000),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, is_fixed: bool, allowed: int
) -> None:
    limits = use(monkeypatch, Limits(soft, hard, is_fixed=is_fixed))

    assert raise_file_limit(5000) == allowed
    assert limits.now[1] == hard


@pytest.mark.parametrize(("hard", "most"), [(100_000, 4096), (3000, 2000), (1000, 500)])
def test_connections_leave_files_for_the_library(
    monkeypatch: pytest.MonkeyPatch,
    loop: asyncio.AbstractEventLoop,
    caplog: pytest.LogCaptureFixture,
    hard: int,
    most: int,
) -> None:
    use(monkeypatch, Limits(256, hard))

    pool = open_pool(Settings(), Metrics(), loop, keep_alive_s=75)

    assert pool.limits.max_connections == most
    assert ("MINUEND_MAX_CONNECTIONS" in caplog.text) == (hard < 4096 + OTHER_FILES)


def test_accept_errors_make_room_and_are_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch,
    loop: asyncio.AbstractEventLoop,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(ConnectionPool, "make_room", lambda pool: calls.append("room"))
    handle_accept_errors(loop, open_pool(Settings(), Metrics(), loop, keep_alive_s=75))
    error = OSError(errno.EMFILE, "Too many open files")
    context: dict[str, Any] = {
        "message": "socket.accept() out of system resource",
        "exception": error,
    }

    for _ in range(1000):
        loop.call_exception_handler(context)
    loop.call_exception_handler({"message": "another fault"})

    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["a connection cannot be accepted: Too many open files", "another fault"]
    assert len(calls) == 1000
