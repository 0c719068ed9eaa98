from __future__ import annotations

import pytest

from training.scenes.changes import CHANGE_KINDS, Change


@pytest.mark.parametrize("kind", CHANGE_KINDS)
def test_a_change_is_undone_by_its_inverse(kind: str) -> None:
    change = Change(kind, "dog")
    assert change.inverse != change
    assert change.inverse.label == "dog"
    assert change.inverse.inverse == change


def test_there_are_six_kinds_in_three_pairs() -> None:
    pairs = {frozenset({kind, Change(kind, "dog").inverse.kind}) for kind in CHANGE_KINDS}
    assert pairs == {
        frozenset({"add", "remove"}),
        frozenset({"louder", "quieter"}),
        frozenset({"more", "less"}),
    }
