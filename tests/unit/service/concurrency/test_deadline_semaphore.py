from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.concurrency.deadline_semaphore import DeadlineSemaphore
from service.errors import DeadlineError

TIMEOUT_S = 30


def deadline(limit_s: float) -> Deadline:
    begun = Deadline()
    begun.begin(limit_s)
    return begun


@contextmanager
def slot(semaphore: DeadlineSemaphore, deadline: Deadline) -> Iterator[None]:
    semaphore.acquire(deadline)
    try:
        yield
    finally:
        semaphore.release()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def queue_up(
    pool: ThreadPoolExecutor,
    semaphore: DeadlineSemaphore,
    requests: list[tuple[str, Deadline]],
    order: list[str],
) -> list[Future[None]]:
    """Let requests wait for a slot in this order; each notes its name when it has one."""

    def work(name: str, deadline: Deadline) -> None:
        with slot(semaphore, deadline):
            order.append(name)

    waiting = []
    for name, until in requests:
        waiting.append(pool.submit(work, name, until))
        wait_until(lambda: len(semaphore._waiting) == len(waiting))
    return waiting


@pytest.mark.parametrize("n_slots", [1, 3])
def test_no_more_threads_work_than_there_are_slots_and_all_are_served(n_slots: int) -> None:
    semaphore, lock = DeadlineSemaphore(n_slots), threading.Lock()
    working: list[int] = []
    n_working: list[int] = []

    def work(n: int) -> None:
        for _ in range(20):
            with slot(semaphore, Deadline()):
                with lock:
                    working.append(n)
                    n_working.append(len(working))
                time.sleep(0)
                with lock:
                    working.remove(n)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=TIMEOUT_S))

    assert len(n_working) == 160
    assert max(n_working) <= n_slots


def test_earlier_deadlines_are_served_first_and_equal_ones_in_order_of_arrival() -> None:
    semaphore, order = DeadlineSemaphore(1), list[str]()
    endless = Deadline()
    requests = [("c", deadline(300)), ("a", deadline(100)), ("e", endless), ("b", deadline(200))]
    requests += [("f", endless), ("d", deadline(400))]

    with ThreadPoolExecutor(len(requests)) as pool:
        with slot(semaphore, Deadline()):
            waiting = queue_up(pool, semaphore, requests, order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["a", "b", "c", "d", "e", "f"]


def test_a_request_that_needs_several_slots_is_not_overtaken_by_a_later_one() -> None:
    semaphore, order = DeadlineSemaphore(1), list[str]()
    first, later = deadline(100), deadline(200)

    with ThreadPoolExecutor(2) as pool:
        with slot(semaphore, first):
            waiting = queue_up(pool, semaphore, [("later", later), ("first again", first)], order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["first again", "later"]


def test_a_wait_that_ends_without_a_slot_raises_the_reason_and_loses_no_slot() -> None:
    semaphore, disconnected = DeadlineSemaphore(1), Deadline()
    disconnected.abandon()

    with slot(semaphore, Deadline()):
        with pytest.raises(DeadlineError), slot(semaphore, deadline(0.01)):
            raise AssertionError("there was no slot")
        with pytest.raises(ClientDisconnectedError), slot(semaphore, disconnected):
            raise AssertionError("there was no slot")

    with slot(semaphore, deadline(TIMEOUT_S)):
        pass
