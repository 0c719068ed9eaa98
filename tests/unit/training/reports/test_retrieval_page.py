from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.retrieval_page import (
    QUERIES,
    lambda_gains,
    margins,
    with_interval,
    write_page,
)


def figure(value: float) -> dict[str, Any]:
    return {"mean": value, "interval": 0.012, "values": [value] * 3}


def recall(value: float) -> dict[str, Any]:
    names = ("r_at_1", "r_at_5", "r_at_10", "bed_r_at_1", "bed_r_at_5", "bed_r_at_10")
    return {name: figure(value) for name in names} | {"bed_mean_rank": figure(7.5)}


def result(scene: str) -> dict[str, Any]:
    systems: dict[str, Any] = {name: recall(0.1 + 0.01 * i) for i, name in enumerate(QUERIES)}
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


def test_a_gain_is_decided_where_the_seeds_do_not_overlap() -> None:
    base, better = of_lambda(0.0, 0.30, 0.32), of_lambda(0.2, 0.33, 0.35)
    mixed, longer = of_lambda(0.5, 0.31, 0.36), of_lambda(0.8, 0.5, 0.5, samples=200_000)
    first, second = lambda_gains([base, better, mixed, longer])
    assert (first["lambda"], second["lambda"]) == (0.2, 0.5)
    at_10 = [it["gains"][2] for it in (first, second)]
    assert [gain["points"] for gain in at_10] == pytest.approx([3.0, 2.5])
    assert [gain["decided"] for gain in at_10] == [True, False]
    assert at_10[0]["published"] == pytest.approx(76.0 - 75.26)


def test_every_result_appears_with_its_figures(tmp_path: Path) -> None:
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
    page = write_page(tmp_path).read_text(encoding="utf-8")
    for line in (
        "| [rain](retrieval-rain.json) | 0.5 | tiny, 103,760 samples | 43.2 ± 1.2 % |",
        "| [rain](retrieval-rain-table-0.json) | 0 | table-0, 103,760 samples | 43.2 ± 1.2 % |",
        "50.2 / 71.7 / 75.3",
        "| random | 0.1 % | 0.1 % | 0.1 % | 0.1 % | 0.1 % | 0.0 |",
        "| held out names | 42.0 ± 1.2 % | 42.0 ± 1.2 % | 42.0 ± 1.2 % | 84% |",
        "| add | 77 | 20.0 ± 1.2 % |",
        "| 45.0 % | 80.0 % |",
        "| as shipped | 30.0 ± 1.2 % | 30.0 ± 1.2 % | 30.0 ± 1.2 % | 7.5 ± 0.0 | 27.5 ± 1.2 % |",
    ):
        assert line in page
    assert page.count("## Rain") == page.count("## General") == 1
    for plot in ("retrieval_recall.png", "retrieval_strength.png"):
        assert (tmp_path / plot).read_bytes().startswith(b"\x89PNG")
        assert f"]({plot})" in page


def test_the_margins_are_over_the_best_single_input() -> None:
    # 43.21 % against 14 % of the text's own towers, the best of the four.
    found = margins(result("rain")["systems"])
    assert found["ratio"] == pytest.approx(0.4321 / 0.14)
    assert found["points"] == pytest.approx(29.21)


def test_missing_results_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate retrieval"):
        write_page(tmp_path)


def test_figures_are_written_with_their_interval() -> None:
    assert with_interval(0.25) == "25.0 %"
    assert with_interval(figure(0.25)) == "25.0 ± 1.2 %"
    assert with_interval({"mean": 0.25, "interval": None, "values": [0.25]}) == "25.0 %"
    assert with_interval(figure(7.5), is_rank=True) == "7.5 ± 0.0"
