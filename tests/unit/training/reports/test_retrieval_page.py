from __future__ import annotations

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
