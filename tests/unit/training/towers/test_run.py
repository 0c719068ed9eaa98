from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from service.bundle.files import Bundle
from training.errors import CheckpointError
from training.scenes.load import SceneSet
from training.towers.recipe import TowersRecipe
from training.towers.run import METRICS, LoadedTowers, load_towers
from training.towers.text_cache import TextCache
from training.towers.vocabulary import Vocabulary


def test_a_checkpoint_records_the_origin_of_the_towers(
    loaded: LoadedTowers, recipe: TowersRecipe, bundle: Bundle, cache: TextCache, scenes: SceneSet
) -> None:
    assert loaded.recipe == recipe
    assert loaded.encoder == bundle.manifest.encoder.fingerprint
    assert loaded.text_encoder == cache.files.sha256
    assert loaded.vocabulary == Vocabulary.of(scenes)
    assert loaded.pairs == len(scenes.pairs)
    assert loaded.data["permissive"] is True
    assert {row.path for row in scenes.event_rows} < set(loaded.sources)
    assert "bg/0-0.wav" in loaded.sources
    assert not loaded.networks.training


def test_every_epoch_writes_a_line_of_metrics(checkpoint: Path, recipe: TowersRecipe) -> None:
    lines = (checkpoint.parent / METRICS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, recipe.optim.epochs + 1))
    assert {"loss", "validation", "temperature", "contrastive"} <= set(json.loads(lines[0]))


def test_a_checkpoint_without_towers_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 1}, tmp_path / "encoder.pt")
    with pytest.raises(CheckpointError, match="holds no towers"):
        load_towers(tmp_path / "encoder.pt")
