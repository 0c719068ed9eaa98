from __future__ import annotations

import pytest

from training.scenes.changes import CHANGE_KINDS, Change


@pytest.mark.parametrize("kind", CHANGE_KINDS)
def test_a_change_is_undone_by_its_inverse(kind: str) -> None:
    change = Change(kind, "dog")
    assert change.inverse != change
    assert change.inverse.label == "dog"
    assert change.inverse.inverse == change
