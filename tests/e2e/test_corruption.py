"""The corruption matrix: what is damaged is refused in one line or reported; nothing is lost."""

from __future__ import annotations

import pytest
from powercut.corruption import TARGETS, Damaged, Matrix, Target

# On demand, `make corruption` tries thousands.
N_DAMAGED = 34


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return Matrix(tmp_path_factory.mktemp("matrix"))


@pytest.mark.parametrize("target", TARGETS)
def test_intact_files_are_right(matrix: Matrix, target: Target) -> None:
    assert {verdict for verdict, _ in matrix.intact(target)} == {"right"}


@pytest.mark.parametrize("target", TARGETS)
def test_damage_is_refused_or_reported_and_nothing_is_lost(matrix: Matrix, target: Target) -> None:
    drawn = [matrix.draw(target, seed) for seed in range(N_DAMAGED)]
    damaged: list[Damaged] = [one for one in drawn if one]
    assert len(damaged) > N_DAMAGED / 2
    assert [one for one in damaged if one.verdict == "wrong"] == []
