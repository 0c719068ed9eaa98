from __future__ import annotations

import numpy as np

from service.index.recall_monitor import RecallAudit, SearchRequest

ASKED = SearchRequest(np.ones(4, np.float32), 4, None, is_modified=True)


def audit(every_s: float) -> tuple[RecallAudit, list[tuple[float, bool]]]:
    told: list[tuple[float, bool]] = []
    made = RecallAudit(lambda asked: np.array([1, 2, 3, 4]), every_s=every_s)
    made.on_recall = lambda share, is_modified: told.append((share, is_modified))
    return made, told


def test_the_share_of_the_true_hits_that_were_found_is_told() -> None:
    made, told = audit(0.0)
    for found in ([4, 3, 2, 1], [1, 2, 9, 8], [9]):
        made.offer(ASKED, np.array(found))
        made.wait()
    assert told == [(1.0, True), (0.5, True), (0.0, True)]


def test_it_is_not_done_more_often_than_it_should_be() -> None:
    made, told = audit(3600.0)
    for _ in range(5):
        made.offer(ASKED, np.array([1]))
        made.wait()
    assert len(told) == 1


def test_nothing_is_measured_after_the_stop() -> None:
    made, told = audit(0.0)
    made.stop()
    made.offer(ASKED, np.array([1]))
    made.wait()
    assert told == []
