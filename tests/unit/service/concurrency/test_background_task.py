from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

import pytest

from service.concurrency.background_task import BackgroundTask, StoppedError


def test_one_piece_of_work_at_a_time() -> None:
    background, entered, release = BackgroundTask(), Event(), Event()

    def work(is_stopped: Callable[[], bool]) -> None:
        entered.set()
        release.wait(60)

    assert background.start(work)
    assert entered.wait(60)
    assert not background.start(work)
    release.set()
    background.wait()
    assert background.start(work)
    background.stop()


def test_stopping_waits_until_the_work_gave_up_and_lets_no_other_begin() -> None:
    background, entered, gave_up = BackgroundTask(), Event(), Event()

    def work(is_stopped: Callable[[], bool]) -> None:
        entered.set()
        while not is_stopped():
            pass
        gave_up.set()
        raise StoppedError

    background.start(work)
    assert entered.wait(60)
    background.stop()
    assert gave_up.is_set()
    assert not background.start(work)


def test_work_that_fails_is_told_in_the_log_and_nothing_else_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    background = BackgroundTask()

    def work(is_stopped: Callable[[], bool]) -> None:
        raise RuntimeError("no memory")

    with caplog.at_level(logging.ERROR):
        background.start(work)
        background.wait()
    assert "no memory" in caplog.text
    assert background.start(lambda is_stopped: None)
    background.stop()
