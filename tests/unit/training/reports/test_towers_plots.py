from __future__ import annotations

from pathlib import Path

from training.reports.towers_plots import draw_recall, draw_strength

SYSTEMS = {"audio_and_text": "**audio and text**", "random": "random"}


def test_figures_of_one_seed_and_of_several_are_drawn(tmp_path: Path) -> None:
    results = {
        name: {
            "systems": {
                "audio_and_text": {"r_at_10": {"mean": 0.5, "interval": interval}},
                "random": {"r_at_10": 0.01},
            },
            "strength": {"0": {"fulfilled": {"mean": 0.1}}, "1": {"fulfilled": {"mean": 0.3}}},
        }
        for name, interval in (("retrieval-rain", 0.02), ("retrieval-general", None))
    }
    draw_recall(tmp_path / "recall.png", results, SYSTEMS)
    draw_strength(tmp_path / "strength.png", results)
    for name in ("recall.png", "strength.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
