from __future__ import annotations

import pytest

from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.errors import DeadlineError


def test_a_deadline_has_no_end_before_it_begins() -> None:
    deadline = Deadline()

    assert deadline.left_s is None
    assert not deadline.is_over
    deadline.check()


def test_a_deadline_passes_after_its_limit() -> None:
    deadline = Deadline()

    deadline.begin(60)
    assert 0 < (deadline.left_s or 0) <= 60
    deadline.check()
    deadline.begin(0)

    assert deadline.left_s == 0
    with pytest.raises(DeadlineError, match="within 0 s"):
        deadline.check()


@pytest.mark.parametrize("begun", [False, True])
def test_a_deadline_passes_when_the_client_disconnects(begun: bool) -> None:
    deadline = Deadline()
    if begun:
        deadline.begin(60)

    deadline.abandon()

    assert deadline.is_over
    with pytest.raises(ClientDisconnectedError):
        deadline.check()
