from __future__ import annotations

import time

import numpy as np

from service.index.recall_monitor import RecallMonitor
from service.index.search import SearchRequest

REQUEST = SearchRequest(np.ones(4, np.float32), 4, None, is_modified=True)


def make_monitor(
    every_s: float, search_s: float = 0.0
) -> tuple[RecallMonitor, list[tuple[float, bool]]]:
    """Return a monitor whose true hits are 1 to 4, and the list of what it reports."""
    reported: list[tuple[float, bool]] = []

    def search_exactly(_: SearchRequest) -> np.ndarray:
        time.sleep(search_s)
        return np.array([1, 2, 3, 4])

    monitor = RecallMonitor(search_exactly, every_s=every_s)
    monitor.on_recall = lambda recall, is_modified: reported.append((recall, is_modified))
    return monitor, reported


def offer(monitor: RecallMonitor, *found: int) -> None:
    monitor.offer(REQUEST, np.array(found))
    monitor.wait()


def test_the_share_of_the_true_hits_that_were_found_is_reported() -> None:
    for found, expected in (((4, 3, 2, 1), 1.0), ((1, 2, 9, 8), 0.5), ((9,), 0.0)):
        monitor, reported = make_monitor(every_s=0.0)
        offer(monitor, *found)
        assert reported == [(expected, True)]


def test_measurements_keep_their_distance() -> None:
    monitor, reported = make_monitor(every_s=3600.0)
    for _ in range(5):
        offer(monitor, 1)
    assert len(reported) == 1


def test_slow_measurements_take_a_small_share_of_the_time() -> None:
    monitor, reported = make_monitor(every_s=0.0, search_s=0.05)
    offer(monitor, 1)
    time.sleep(0.1)  # far less than 100 times as long as the measurement took
    offer(monitor, 1)
    assert len(reported) == 1


def test_nothing_is_measured_after_the_stop() -> None:
    monitor, reported = make_monitor(every_s=0.0)
    monitor.stop()
    offer(monitor, 1)
    assert reported == []
