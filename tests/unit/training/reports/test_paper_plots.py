from __future__ import annotations

from pathlib import Path

from tiny_results import bgknown, encoder, separation

from training.reports.paper_plots import draw_bgknown, separation_plot


def test_accuracy_is_drawn_with_and_without_rows(tmp_path: Path) -> None:
    rows = [bgknown(encoder(value, "x"), 50, 45, 40, 35) for value in (0.0, 0.5)]
    draw_bgknown(tmp_path / "none.png", [], [])
    draw_bgknown(tmp_path / "two.png", rows, rows)
    assert (tmp_path / "none.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_a_plot_has_the_name_of_its_encoder() -> None:
    trained, untrained = encoder(0.5, "run"), encoder(None, "random:0")
    assert separation_plot(separation(trained, 20, 10)) == "separation-run.png"
    assert separation_plot(separation(untrained, 2, 1)) == "separation-random-0.png"
