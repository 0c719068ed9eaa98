from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import BundleError
from service.inference.phrases import TextBank

AXES = np.eye(4, dtype=np.float32)


def entry(row: int, **changes: Any) -> dict[str, Any]:
    vector = base64.b64encode(AXES[row].astype("<f4").tobytes()).decode()
    plain = {"phrase": f"a number {row}", "label": f"n{row}", "kind": "event", "vector": vector}
    return plain | changes


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"phrases": entries}), encoding="utf-8")
    return path


@pytest.fixture
def bank(tmp_path: Path) -> TextBank:
    return TextBank.read(write(tmp_path / "bank.json", [entry(row) for row in range(4)]), 4)


def test_the_nearest_phrases_come_first_with_their_inner_products(bank: TextBank) -> None:
    change = np.array([0.1, -0.5, 0.7, 0.5], np.float32)

    ranked = bank.rank(change, 3)

    assert [(p.phrase, p.label) for p in ranked] == [
        ("a number 2", "n2"),
        ("a number 3", "n3"),
        ("a number 0", "n0"),
    ]
    assert [p.score for p in ranked] == pytest.approx([0.7, 0.5, 0.1])


def test_at_most_all_phrases_are_returned(bank: TextBank) -> None:
    assert len(bank) == 4
    assert len(bank.rank(AXES[0], 50)) == 4
    assert bank.rank(AXES[0], 0) == []


def test_no_change_has_no_phrases(bank: TextBank) -> None:
    assert bank.rank(np.zeros(4, np.float32), 3) == []


def test_phrases_with_equal_scores_keep_the_order_of_the_file(bank: TextBank) -> None:
    assert [p.label for p in bank.rank(AXES[1], 4)] == ["n1", "n0", "n2", "n3"]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ([], "phrases"),
        ([{"phrase": "x"}], "label"),
        ([entry(0, kind="weather")], "kind"),
        ([entry(0, more=1)], "more"),
        ([entry(0, vector="####")], "base64"),
        ([entry(0, vector=base64.b64encode(AXES[0, :3].tobytes()).decode())], "3 values, not 4"),
        ([entry(0, vector=base64.b64encode((2 * AXES[0]).tobytes()).decode())], "length 1"),
        ([entry(0, vector=base64.b64encode((np.nan * AXES[0]).tobytes()).decode())], "length 1"),
    ],
)
def test_a_faulty_bank_is_refused_by_name(
    tmp_path: Path, entries: list[dict[str, Any]], fault: str
) -> None:
    path = write(tmp_path / "bank.json", entries)

    with pytest.raises(BundleError, match=rf"(?s)bank\.json is no text bank.*{fault}"):
        TextBank.read(path, 4)


def test_a_missing_bank_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no text bank"):
        TextBank.read(tmp_path / "bank.json", 4)
