from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from service.errors import DeadlineError
from service.patience import AbandonedError, Patience
from service.turns import Turns

TIMEOUT_S = 30


def patience(limit_s: float) -> Patience:
    begun = Patience()
    begun.begin(limit_s)
    return begun


@contextmanager
def turn(turns: Turns, patience: Patience) -> Iterator[None]:
    turns.take(patience)
    try:
        yield
    finally:
        turns.give_back()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def line_up(
    pool: ThreadPoolExecutor, turns: Turns, wants: list[tuple[str, Patience]], order: list[str]
) -> list[Future[None]]:
    """Let one after another wait for a turn; each notes its name when it has it."""

    def work(name: str, patience: Patience) -> None:
        with turn(turns, patience):
            order.append(name)

    waiting = []
    for name, wanted in wants:
        waiting.append(pool.submit(work, name, wanted))
        until(lambda: len(turns._waiting) == len(waiting))
    return waiting


@pytest.mark.parametrize("n_turns", [1, 3])
def test_no_more_work_at_a_time_than_there_are_turns_and_all_come_to_theirs(n_turns: int) -> None:
    turns, lock = Turns(n_turns), threading.Lock()
    at_work: list[int] = []
    most: list[int] = []

    def work(n: int) -> None:
        for _ in range(20):
            with turn(turns, Patience()):
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
    turns, order = Turns(1), list[str]()
    endless = Patience()
    wants = [("c", patience(300)), ("a", patience(100)), ("e", endless), ("b", patience(200))]
    wants += [("f", endless), ("d", patience(400))]

    with ThreadPoolExecutor(len(wants)) as pool:
        with turn(turns, Patience()):
            waiting = line_up(pool, turns, wants, order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["a", "b", "c", "d", "e", "f"]


def test_a_request_that_needs_several_turns_is_not_overtaken_by_a_later_one() -> None:
    turns, order = Turns(1), list[str]()
    first, later = patience(100), patience(200)

    with ThreadPoolExecutor(2) as pool:
        with turn(turns, first):
            waiting = line_up(pool, turns, [("later", later), ("first again", first)], order)
        for future in waiting:
            future.result(TIMEOUT_S)

    assert order == ["first again", "later"]


def test_a_wait_that_ends_without_a_turn_says_why_and_loses_none() -> None:
    turns, left = Turns(1), Patience()
    left.abandon()

    with turn(turns, Patience()):
        with pytest.raises(DeadlineError), turn(turns, patience(0.01)):
            raise AssertionError("there was no turn")
        with pytest.raises(AbandonedError), turn(turns, left):
            raise AssertionError("there was no turn")

    with turn(turns, patience(TIMEOUT_S)):
        pass
