from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from training.towers.export.fingerprint import fingerprint
from training.towers.run import LoadedTowers, load_towers


def test_the_same_towers_have_the_same_fingerprint(loaded: LoadedTowers, checkpoint: Path) -> None:
    assert fingerprint(loaded) == fingerprint(load_towers(checkpoint))
    assert len(fingerprint(loaded)) == 64


def test_all_that_the_vectors_depend_on_changes_it(loaded: LoadedTowers, checkpoint: Path) -> None:
    seen = {fingerprint(loaded)}
    for tower, name in (("audio", "exit.weight"), ("text", "mean")):
        other = load_towers(checkpoint)
        with torch.no_grad():
            getattr(other.towers, tower).state_dict()[name].view(-1)[0].add_(1e-3)
        seen.add(fingerprint(other))
    seen.add(fingerprint(dataclasses.replace(loaded, encoder="0" * 64)))
    text = loaded.text_encoder | {"tokenizer.json": "0" * 64}
    seen.add(fingerprint(dataclasses.replace(loaded, text_encoder=text)))
    recipe = loaded.recipe.model_copy(
        update={"text": loaded.recipe.text.model_copy(update={"max_tokens": 31})}
    )
    seen.add(fingerprint(dataclasses.replace(loaded, recipe=recipe)))
    assert len(seen) == 6


def test_what_only_training_needs_does_not(loaded: LoadedTowers, checkpoint: Path) -> None:
    other = load_towers(checkpoint)
    with torch.no_grad():
        other.towers.labels.weight.add_(1.0)
        other.towers.log_temperature.add_(1.0)
    assert fingerprint(other) == fingerprint(loaded)
