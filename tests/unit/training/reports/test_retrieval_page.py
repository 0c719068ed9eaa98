from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DatasetError
from training.reports.retrieval_page import (
    RECALLS,
    SINGLE,
    lambda_gains,
    margins,
    with_interval,
    write_page,
)


def figure(value: float) -> dict[str, Any]:
    return {"mean": value, "interval": 0.012, "values": [value] * 3}


def of_lambda(weight: float, *values: float, samples: int = 100_000) -> dict[str, Any]:
    measured = {"mean": sum(values) / len(values), "interval": 0.01, "values": list(values)}
    return {
        "recipe_sha256": "ab" * 32,
        "encoder_recipe": {"name": "table", "loss": {"lambda": weight}},
        "encoder_samples_seen": samples,
        "data": {"test": {"scene": "rain"}},
        "systems": {"audio_and_text": dict.fromkeys(RECALLS, measured)},
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


def test_the_margins_are_over_the_best_single_input() -> None:
    shares = dict(zip(SINGLE, (0.11, 0.12, 0.13, 0.14), strict=True)) | {"audio_and_text": 0.4321}
    found = margins({name: dict.fromkeys(RECALLS, figure(share)) for name, share in shares.items()})
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


def test_the_page_shows_other_recordings_where_they_were_measured(tmp_path: Path) -> None:
    """The committed results, with figures of other recordings put in."""
    results = Path(__file__).parents[4] / "docs" / "results"
    for name in ("retrieval-general.json", "retrieval_ablation.json"):
        (tmp_path / name).write_bytes((results / name).read_bytes())
    assert "other recordings" not in write_page(tmp_path).read_text()
    content = json.loads((tmp_path / "retrieval-general.json").read_text())
    systems = {name: dict.fromkeys(RECALLS, figure(0.4321)) for name in ("audio_and_text",)}
    by_strength = {"1": dict.fromkeys(RECALLS, figure(0.3456))}
    content["other_recordings"] = {
        "pairs": 777,
        "systems": systems,
        "same": systems,
        "strength": {"other": by_strength, "same": by_strength},
    }
    shares = {"first": figure(0.2468), "among_five": figure(0.5)}
    counts = {"mixtures": 123, "phrases": 81}
    content["phrases_other"] = counts | {"whole_bank": shares, "events_only": shares}
    (tmp_path / "retrieval-general.json").write_text(json.dumps(content))
    ablation = json.loads((tmp_path / "retrieval_ablation.json").read_text())
    ablation["data"]["other"] = {}
    for found in ablation["variants"].values():
        found["other_recordings"] = {"systems": {"audio_and_text": {"r_at_5": figure(0.1357)}}}
        found["other_phrases"] = {"first": figure(0.9753)}
    (tmp_path / "retrieval_ablation.json").write_text(json.dumps(ablation))
    page = write_page(tmp_path).read_text()
    for fact in (
        "777 pairs whose kind has enough recordings",
        "target over other recordings | 43.2 ± 1.2 %",
        "| 1 | 34.6 ± 1.2 % | 34.6 ± 1.2 % |",
        "123 mixtures, minus other recordings",
        "| 24.7 ± 1.2 % | 50.0 ± 1.2 % |",
        "| 13.6 ± 1.2 % | 97.5 ± 1.2 % |",
    ):
        assert fact in page
    for line in page.splitlines():
        assert not line.startswith("| as shipped") or line.count("|") == 9
