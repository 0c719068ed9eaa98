from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import write_corpora
from tiny_evaluation import BandEmbedder

from training.datasets.bgknown import make_bgknown
from training.datasets.sides import find_sides
from training.evaluation.bgknown import (
    SETTINGS,
    BgKnown,
    embed_parts,
    evaluate_bgknown,
)
from training.evaluation.probe import ProbeSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BgKnown:
    folder = tmp_path_factory.mktemp("corpora")
    manifest = write_corpora(folder)
    return BgKnown.open(make_bgknown(find_sides(manifest, manifest), folder / "bg", seed=0))


def test_every_setting_is_measured_for_every_seed(data: BgKnown, tmp_path: Path) -> None:
    embedder = BandEmbedder()
    settings = ProbeSettings(epochs=30)
    found = evaluate_bgknown(embedder, data, tmp_path, settings, seeds=(1, 2))
    assert tuple(found) == SETTINGS
    assert embedder.embedded == 40
    assert embedder.fitted == 6
    for figures in found.values():
        assert len(figures["runs"]) == 2  # type: ignore[arg-type]  # a list of two
        assert 0.0 <= figures["mean"] <= 100.0  # type: ignore[operator]  # a number


def test_a_coefficient_of_0_is_the_mixture_itself(data: BgKnown, tmp_path: Path) -> None:
    found = evaluate_bgknown(
        BandEmbedder(), data, tmp_path, ProbeSettings(epochs=5), seeds=(1,), coefficient=0.0
    )
    assert found["a"] == found["b"] == found["c"] == found["mix"]


def test_subtracting_what_was_mixed_leaves_the_event(data: BgKnown, tmp_path: Path) -> None:
    """In an encoder that is linear in power, where event and background hardly overlap."""
    found = embed_parts(BandEmbedder(), data, tmp_path)
    left = found["mixture"] - found["a"]
    for row, remainder, a in zip(data.rows, left, found["a"], strict=True):
        pitch = 300 if row["label"] == "kind0" else 1200
        assert remainder.argmax() == pitch // 200
        assert np.abs(np.delete(remainder, pitch // 200)).max() < 10 * a.max()
