from __future__ import annotations

from pathlib import Path

from service.bundle.manifest import ChangeInfo
from training.reports.change_card import write_change_card

INFO = ChangeInfo(
    file="change.npz",
    false_alarm_rate=0.05,
    excerpt_s=5.0,
    commit="abc",
    data=[],
    scores={"recordings": 12},
)


def test_the_part_stands_at_the_end_of_a_card_without_towers(tmp_path: Path) -> None:
    (tmp_path / "MODEL_CARD.md").write_text("# Card\n\nText.\n")

    write_change_card(tmp_path, INFO)

    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert text.startswith("# Card\n\nText.\n\n## Has anything changed?\n")
    assert "fitted to 12 recordings" in text
    assert "95% of unchanged pairs" in text
