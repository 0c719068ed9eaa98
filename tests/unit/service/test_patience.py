from __future__ import annotations

import pytest

from service.errors import DeadlineError
from service.patience import AbandonedError, Patience


def test_it_has_no_end_until_it_begins() -> None:
    patience = Patience()

    assert patience.left_s is None
    assert not patience.is_over
    patience.check()


def test_it_ends_with_its_deadline() -> None:
    patience = Patience()

    patience.begin(60)
    assert 0 < (patience.left_s or 0) <= 60
    patience.check()
    patience.begin(0)

    assert patience.left_s == 0
    with pytest.raises(DeadlineError, match="within 0 s"):
        patience.check()


@pytest.mark.parametrize("begun", [False, True])
def test_it_ends_when_the_client_leaves(begun: bool) -> None:
    patience = Patience()
    if begun:
        patience.begin(60)

    patience.abandon()

    assert patience.is_over
    with pytest.raises(AbandonedError):
        patience.check()
