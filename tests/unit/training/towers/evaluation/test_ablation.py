from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import tiny_pairs
import yaml

from service.bundle.files import Bundle
from training.towers.evaluation.ablation import (
    PAPER,
    VARIANTS,
    AblationSettings,
    list_recipes,
    run_ablation,
)
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache


def make_settings(recipe: str, bundle: Bundle, cache: TextCache, folder: Path) -> AblationSettings:
    return AblationSettings(
        recipe=recipe,
        overrides=(),
        train=folder / "train",
        held_out=folder / "held-out",
        bundle=bundle,
        cache=cache,
        seeds=1,
    )


def test_every_variant_changes_the_recipe(bundle: Bundle, cache: TextCache, tmp_path: Path) -> None:
    recipes = list_recipes(make_settings("retrieval", bundle, cache, tmp_path))
    assert set(recipes) == {*VARIANTS, PAPER}
    assert len({recipe.sha256() for recipe in recipes.values()}) == len(recipes)
    assert recipes[PAPER].name == "retrieval-paper"


def test_variants_are_measured_on_held_out_sources(
    bundle: Bundle, cache: TextCache, recipe: TowersRecipe, tmp_path: Path
) -> None:
    fingerprint = bundle.manifest.encoder.fingerprint
    trained, other = tiny_pairs.make(8, 8, 1), tiny_pairs.make(8, 8, 2)
    held_out = dataclasses.replace(
        other,
        pairs=[pair for pair in other.pairs if pair.background_id < 2],
        query=other.query[:16],
        target=other.target[:16],
        event_rows=[],
    )
    tiny_pairs.write(tmp_path / "train", trained, fingerprint)
    tiny_pairs.write(tmp_path / "held-out", held_out, fingerprint)
    over_others = tiny_pairs.with_other_recordings(other)
    over_others = dataclasses.replace(
        held_out, pairs=over_others.pairs[:16], target=over_others.target[:16]
    )
    tiny_pairs.write(tmp_path / "other", over_others, fingerprint)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe.to_dict()))
    settings = dataclasses.replace(
        make_settings(str(tmp_path / "tiny.yaml"), bundle, cache, tmp_path),
        only=("as shipped", "no difference loss", "graded relevance"),
        other=tmp_path / "other",
    )
    lines: list[str] = []
    found = run_ablation(settings, lines.append)
    assert list(found["variants"]) == list(settings.only)
    assert len(lines) == 3
    assert set(found["data"]) == {"train", "held_out", "other"}
    assert 0 < found["trained_pairs"] < 64
    assert found["held_out_pairs"] == 16
    first = found["variants"]["as shipped"]
    assert 0 <= first["retrieval"]["r_at_1"]["mean"] <= 1
    assert first["phrases"]["mixtures"] > 0
    assert first["other_phrases"]["mixtures"] > 0
    assert first["other_recordings"]["pairs"] == 16
    json.dumps(found)
