from __future__ import annotations

from pathlib import Path

from tiny_results import bgknown, encoder, separation

from training.reports.evaluation_plots import draw_bgknown, draw_separation, separation_picture

PNG = b"\x89PNG"


def test_accuracy_is_drawn_with_and_without_rows(tmp_path: Path) -> None:
    rows = [bgknown(encoder(value, "x"), 50, 45, 40, 35) for value in (0.0, 0.5)]
    draw_bgknown(tmp_path / "none.png", [], [])
    draw_bgknown(tmp_path / "two.png", rows, rows)
    none, two = ((tmp_path / f"{name}.png").read_bytes() for name in ("none", "two"))
    assert none[:4] == two[:4] == PNG
    assert none != two


def test_separation_is_drawn_under_the_name_of_its_encoder(tmp_path: Path) -> None:
    row = separation(encoder(0.5, "run"), 20, 10)
    draw_separation(tmp_path / separation_picture(row), row)
    assert (tmp_path / "separation-run.png").read_bytes()[:4] == PNG
    assert separation_picture(separation(encoder(None, "random:0"), 2, 1)) == (
        "separation-random-0.png"
    )
