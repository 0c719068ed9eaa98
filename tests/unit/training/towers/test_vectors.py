from __future__ import annotations

import numpy as np
import pytest
import tiny_pairs

from training.scenes.load import SceneSet
from training.towers import vectors
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.towers.vectors import TowerVectors


def test_vectors_do_not_depend_on_how_many_go_at_once(
    loaded: LoadedTowers, cache: TextCache, scenes: SceneSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = TowerVectors(loaded.towers, cache)
    whole = made.audio(scenes.query)
    monkeypatch.setattr(vectors, "ROWS", 5)
    assert np.allclose(made.audio(scenes.query), whole, atol=1e-6)
    assert whole.shape == (len(scenes.pairs), 16)
    assert scenes.query.shape[1] == tiny_pairs.DIM


def test_a_text_alone_and_in_a_batch_gives_the_same_vector(
    loaded: LoadedTowers, cache: TextCache
) -> None:
    made = TowerVectors(loaded.towers, cache)
    texts = ["add a dog", "like this but with much less of the rain in the background"]
    assert np.allclose(made.text(texts)[0], made.text(texts[:1])[0], atol=1e-6)
