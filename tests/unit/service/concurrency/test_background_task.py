from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

import pytest

from service.concurrency.background_task import BackgroundTask, StoppedError


def test_one_task_runs_at_a_time() -> None:
    background, started, finish = BackgroundTask(), Event(), Event()

    def task(is_stopped: Callable[[], bool]) -> None:
        started.set()
        finish.wait(60)

    assert background.start(task)
    assert started.wait(60)
    assert not background.start(task)
    finish.set()
    background.wait()
    assert background.start(task)
    background.stop()


def test_stop_waits_until_the_task_has_ended_and_no_other_starts() -> None:
    background, started, ended = BackgroundTask(), Event(), Event()

    def task(is_stopped: Callable[[], bool]) -> None:
        started.set()
        while not is_stopped():
            pass
        ended.set()
        raise StoppedError

    background.start(task)
    assert started.wait(60)
    background.stop()
    assert ended.is_set()
    assert not background.start(task)


def test_a_task_that_fails_is_logged_and_another_can_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    background = BackgroundTask()

    def task(is_stopped: Callable[[], bool]) -> None:
        raise RuntimeError("no memory")

    with caplog.at_level(logging.ERROR):
        background.start(task)
        background.wait()
    assert "no memory" in caplog.text
    assert background.start(lambda is_stopped: None)
    background.stop()
