from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.towers_page import (
    SYSTEMS,
    judge_lambda,
    render_margins,
    show,
    table,
    write_page,
)


def figure(value: float) -> dict[str, Any]:
    return {"mean": value, "interval": 0.012, "values": [value] * 3}


def recall(value: float) -> dict[str, Any]:
    names = ("r_at_1", "r_at_5", "r_at_10", "bed_r_at_1", "bed_r_at_5", "bed_r_at_10")
    return {name: figure(value) for name in names} | {"bed_mean_rank": figure(7.5)}


def result(scene: str) -> dict[str, Any]:
    systems: dict[str, Any] = {name: recall(0.1 + 0.01 * i) for i, name in enumerate(SYSTEMS)}
    systems["audio_and_text"] = recall(0.4321)
    systems["random"] = dict.fromkeys(recall(0), 0.001)
    shares = {"first": figure(0.31), "among_five": figure(0.62)}
    return {
        "commit": "0123456789ab",
        "hardware": {"cores": 2, "processor": "a processor"},
        "recipe": {"name": "retrieval"},
        "recipe_sha256": "ab" * 32,
        "seeds": [42, 43, 44],
        "encoder": "cd" * 32,
        "bundle": "tiny",
        "encoder_recipe": {"loss": {"lambda": 0.5}},
        "encoder_samples_seen": 103_760,
        "data": {"train": {"n_pairs": 4000}, "test": {"scene": scene}},
        "test_pairs": 1000,
        "systems": systems,
        "words": {"seen": recall(0.5), "held_out_names": recall(0.42)},
        "kinds": {"add": {"pairs": 77} | recall(0.2)},
        "strength": {s: {"fulfilled": figure(0.25)} | recall(0.3) for s in ("0", "1")},
        "phrases": {
            "mixtures": 500,
            "phrases": 90,
            "whole_bank": shares,
            "events_only": shares,
            "linear_probe": {"first": 0.45, "among_five": 0.8},
        },
    }


def of_lambda(weight: float, *values: float, samples: int = 100_000) -> dict[str, Any]:
    made = result("rain")
    measured = {"mean": sum(values) / len(values), "interval": 0.01, "values": list(values)}
    return made | {
        "encoder_recipe": {"name": "table", "loss": {"lambda": weight}},
        "encoder_samples_seen": samples,
        "systems": {"audio_and_text": dict.fromkeys(recall(0), measured)},
    }


def test_lambda_is_judged_by_seeds_that_do_not_mix() -> None:
    base, better = of_lambda(0.0, 0.30, 0.32), of_lambda(0.2, 0.33, 0.35)
    mixed, longer = of_lambda(0.5, 0.31, 0.36), of_lambda(0.8, 0.5, 0.5, samples=200_000)
    first, second = judge_lambda([base, better, mixed, longer])
    assert "lambda 0.2 over 0" in first
    assert "R@10 +3.0 (decided), paper +0.7" in first
    assert "lambda 0.5 over 0" in second
    assert "R@10 +2.5 (undecided)" in second


def test_the_page_shows_what_the_files_say(tmp_path: Path) -> None:
    for scene in ("rain", "general"):
        (tmp_path / f"retrieval-{scene}.json").write_text(json.dumps(result(scene)))
    other = result("rain") | {"encoder_recipe": {"loss": {"lambda": 0.0}}, "bundle": "table-0"}
    (tmp_path / "retrieval-rain-table-0.json").write_text(json.dumps(other))
    ablation = {
        "held_out_pairs": 1000,
        "trained_pairs": 2400,
        "seeds": [42],
        "encoder": "e" * 64,
        "recipe_sha256": "r" * 64,
        "commit": "abc123",
        "variants": {"as shipped": {"retrieval": recall(0.3), "phrases": {"first": figure(0.275)}}},
    }
    (tmp_path / "retrieval_ablation.json").write_text(json.dumps(ablation))
    page = write_page(tmp_path).read_text()
    for fact in (
        *(
            "## Rain",
            "## General",
            "43.2 ± 1.2 %",
            "[rain](retrieval-rain.json) | 0.5 | tiny, 103,760",
        ),
        *("0123456789ab", "4,000 training pairs", "500 unseen mixtures", "| add | 77 |", "45.0 %"),
        *(
            "as shipped",
            "2,400",
            "Encoder `eeeeeeeeeeeeeeee`",
            "27.5 ± 1.2 %",
            "| held out names |",
            "84%",
        ),
    ):
        assert fact in page, fact
    assert "[rain](retrieval-rain-table-0.json) | 0 | table-0, 103,760" in page
    assert "50.2 / 71.7 / 75.3" in page, "what the paper has for rain and lambda 0"
    assert "rain, lambda 0.5 over 0, in points: R@1 +0.0 (undecided), paper +2.5" in page
    assert page.count("## Rain") == 1, "another encoder of the same scene has no section"
    for picture in ("retrieval_recall.png", "retrieval_strength.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
        assert f"]({picture})" in page


def test_the_margins_are_over_the_best_single_input() -> None:
    text = render_margins(result("rain")["systems"])
    # 43.21 % against 14 % of the text's own towers, the best of the four.
    assert "3.09 times" in text
    assert "29.2 points" in text


def test_without_results_it_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate retrieval"):
        write_page(tmp_path)


def test_figures_are_written_with_their_interval() -> None:
    assert show(0.25) == "25.0 %"
    assert show(figure(0.25)) == "25.0 ± 1.2 %"
    assert show({"mean": 0.25, "interval": None, "values": [0.25]}) == "25.0 %"
    assert show(figure(7.5), "bed_mean_rank") == "7.5 ± 0.0"
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
