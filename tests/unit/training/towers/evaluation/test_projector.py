from __future__ import annotations

import numpy as np
import pytest
import tiny_pairs

from training.scenes.load import SceneSet
from training.towers.evaluation import projector
from training.towers.evaluation.projector import TowerProjector
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache


def test_vectors_do_not_depend_on_the_batch_size(
    loaded: LoadedTowers, cache: TextCache, scenes: SceneSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers = TowerProjector(loaded.networks, cache)
    whole = towers.project_audio(scenes.query)
    monkeypatch.setattr(projector, "BATCH_ROWS", 5)
    assert np.allclose(towers.project_audio(scenes.query), whole, atol=1e-6)
    assert whole.shape == (len(scenes.pairs), 16)
    assert scenes.query.shape[1] == tiny_pairs.DIM
