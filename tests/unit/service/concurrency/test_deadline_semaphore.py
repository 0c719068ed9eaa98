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
def turn(turns: DeadlineSemaphore, deadline: Deadline) -> Iterator[None]:
    turns.acquire(deadline)
    try:
        yield
    finally:
        turns.release()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def line_up(
    pool: ThreadPoolExecutor,
    turns: DeadlineSemaphore,
    wants: list[tuple[str, Deadline]],
    order: list[str],
) -> list[Future[None]]:
    """Let one after another wait for a turn; each notes its name when it has it."""

    def work(name: str, deadline: Deadline) -> None:
        with turn(turns, deadline):
            order.append(name)

    waiting = []
    for name, wanted in wants:
        waiting.append(pool.submit(work, name, wanted))
        until(lambda: len(turns._waiting) == len(waiting))
    return waiting


@pytest.mark.parametrize("n_turns", [1, 3])
def test_no_more_work_at_a_time_than_there_are_turns_and_all_come_to_theirs(n_turns: int) -> None:
    turns, lock = DeadlineSemaphore(n_turns), threading.Lock()
    at_work: list[int] = []
    most: list[int] = []

    def work(n: int) -> None:
        for _ in range(20):
            with turn(turns, Deadline()):
                with lock:
                    at_work.append(n)
                    most.append(len(at_work))
                time.sleep(0)
                with lock:
                    at_work.remove(n)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=TIMEOUT_S))

    assert len(most) == 160
    assert max(most) <= n_turns


def test_the_deadline_that_comes_first_is_served_first_and_equals_as_they_came() -> None:
    turns, order = DeadlineSemaphore(1), list[str]()
    endless = Deadline()
    wants = [("c", deadline(300)), ("a", deadline(100)), ("e", endless), ("b", deadline(200))]
    wants += [("f", endless), ("d", deadline(400))]

    with ThreadPoolExecutor(len(wants)) as pool:
        with turn(turns, Deadline()):
            waiting = line_up(pool, turns, wants, order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["a", "b", "c", "d", "e", "f"]


def test_a_request_that_needs_several_turns_is_not_overtaken_by_a_later_one() -> None:
    turns, order = DeadlineSemaphore(1), list[str]()
    first, later = deadline(100), deadline(200)

    with ThreadPoolExecutor(2) as pool:
        with turn(turns, first):
            waiting = line_up(pool, turns, [("later", later), ("first again", first)], order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["first again", "later"]


def test_a_wait_that_ends_without_a_turn_says_why_and_loses_none() -> None:
    turns, left = DeadlineSemaphore(1), Deadline()
    left.abandon()

    with turn(turns, Deadline()):
        with pytest.raises(DeadlineError), turn(turns, deadline(0.01)):
            raise AssertionError("there was no turn")
        with pytest.raises(ClientDisconnectedError), turn(turns, left):
            raise AssertionError("there was no turn")

    with turn(turns, deadline(TIMEOUT_S)):
        pass
