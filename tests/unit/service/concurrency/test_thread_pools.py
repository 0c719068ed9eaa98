from __future__ import annotations

import threading

import anyio
import pytest

from service.concurrency.deadline import (
    ClientDisconnectedError,
    Deadline,
    check_deadline,
    current_deadline,
    working_until,
)
from service.concurrency.thread_pools import ThreadPool, ThreadPools
from service.errors import DeadlineError, OverloadError

pytestmark = pytest.mark.anyio


class Blocked:
    """Work that fills a pool until it is released."""

    def __init__(self, pool: ThreadPool, n_calls: int) -> None:
        self.release = threading.Event()
        self._pool = pool
        self._n_calls = n_calls
        self._started = threading.Semaphore(0)

    async def start(self, tasks: anyio.abc.TaskGroup) -> None:
        for _ in range(self._n_calls):
            tasks.start_soon(self._pool.run, self._wait)
        for _ in range(self._n_calls):
            await anyio.to_thread.run_sync(self._started.acquire)

    def _wait(self) -> None:
        self._started.release()
        self.release.wait()


async def test_a_full_pool_holds_up_no_other() -> None:
    pools = ThreadPools(max_requests=3)
    async with anyio.create_task_group() as tasks:
        blocked = Blocked(pools.scans, 4)
        await blocked.start(tasks)
        for pool in (pools.probes, pools.lookups, pools.deletes, pools.requests):
            assert await pool.run(threading.active_count) > 4
        blocked.release.set()


async def test_more_work_than_may_wait_is_refused() -> None:
    pool = ThreadPool(1, max_waiting=0)
    async with anyio.create_task_group() as tasks:
        blocked = Blocked(pool, 1)
        await blocked.start(tasks)
        with pytest.raises(OverloadError):
            await pool.run(check_deadline)
        blocked.release.set()
    assert await pool.run(lambda: 7) == 7


async def test_work_waits_for_a_thread_until_the_deadline_and_is_not_begun_after_it() -> None:
    pool, deadline = ThreadPool(1), Deadline()
    async with anyio.create_task_group() as tasks:
        blocked = Blocked(pool, 1)
        await blocked.start(tasks)
        deadline.begin(0.02)
        with working_until(deadline), pytest.raises(DeadlineError):
            await pool.run(pytest.fail, "the work was begun after the deadline")
        blocked.release.set()


async def test_the_work_of_a_client_that_left_is_not_begun() -> None:
    deadline = Deadline()
    deadline.abandon()
    with working_until(deadline), pytest.raises(ClientDisconnectedError):
        await ThreadPool(1).run(pytest.fail, "the work was begun for a client that left")


async def test_threads_know_the_deadline_of_their_request() -> None:
    deadline = Deadline()
    assert await ThreadPool(1).run(current_deadline) is None
    with working_until(deadline):
        assert await ThreadPool(1).run(current_deadline) is deadline
        with working_until(None):
            assert await ThreadPool(1).run(current_deadline) is None


async def test_work_that_ended_after_the_deadline_has_its_result() -> None:
    """A clip that was stored is acknowledged, however late."""
    deadline = Deadline()
    deadline.begin(0.01)

    def work() -> str:
        while not deadline.is_over:
            pass
        return "stored"

    with working_until(deadline):
        assert await ThreadPool(1).run(work) == "stored"


async def test_pictures_are_drawn_one_at_a_time_and_too_many_are_refused() -> None:
    refused: list[OverloadError] = []
    running = most = 0
    pictures = ThreadPools(max_requests=2).pictures
    gate, started = anyio.Event(), anyio.Event()

    def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        anyio.from_thread.run_sync(started.set)
        anyio.from_thread.run(gate.wait)
        running -= 1

    async def ask() -> None:
        try:
            await pictures.run(work)
        except OverloadError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await started.wait()
        for _ in range(4):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        gate.set()

    assert len(refused) == 2
    assert most == 1
