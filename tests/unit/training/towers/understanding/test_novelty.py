from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.errors import BundleError
from service.inference.novelty import (
    N_STATISTICS,
    NoveltyDetector,
    features,
    round_embeddings,
)
from service.inference.tokenizer import Tokenizer
from training.towers.recipe import TextRecipe
from training.towers.text_cache import TextCache
from training.towers.understanding.novelty import train_novelty
from training.towers.understanding.recipe import NoveltyRecipe
from training.towers.understanding.sounds import SoundNames
from training.towers.understanding.unknown_texts import draw_unknown_texts


@pytest.fixture(scope="module")
def cache(text_recipe: TextRecipe, tmp_path_factory: pytest.TempPathFactory) -> TextCache:
    return TextCache(tmp_path_factory.mktemp("texts"), text_recipe)


@pytest.fixture(scope="module")
def many() -> SoundNames:
    letters = "abcdefghijklmnop"
    names = [f"dog {one}{other}" for one in letters for other in "xyz"]
    return SoundNames(tuple(names[::2]), tuple(names[1::2]))


def test_the_allowed_share_of_held_out_names_is_flagged(cache: TextCache, many: SoundNames) -> None:
    recipe = NoveltyRecipe(generated=10, known_flagged=0.1)
    detector, figures = train_novelty(many, recipe, cache)
    assert figures["known_flagged"] <= 0.1
    assert detector.phrases == many.seen
    tokenizer = Tokenizer(cache.files.folder / "tokenizer.json", cache.max_tokens)
    embeddings = cache.embed(many.held_out)
    flagged = [
        detector.assess(text, tokenizer.tokenize(text), embedding).is_unknown
        for text, embedding in zip(many.held_out, embeddings, strict=True)
    ]
    assert np.mean(flagged) <= 0.2


def test_every_kind_of_unknown_text_is_measured_and_most_are_flagged(
    cache: TextCache, many: SoundNames
) -> None:
    _, figures = train_novelty(many, NoveltyRecipe(generated=10, known_flagged=0.1), cache)
    kinds = draw_unknown_texts(["one", "two"], 3, 0)
    assert set(figures) == {"known_flagged", "unknown_flagged", *kinds}
    shares = [figures[kind] for kind in kinds if not kind.startswith("language_")]
    languages = [figures[kind] for kind in kinds if kind.startswith("language_")]
    expected = np.mean([*shares, np.mean(languages)])
    assert figures["unknown_flagged"] == pytest.approx(expected, abs=1e-3)
    assert figures["unknown_flagged"] > 0.5  # none of them looks like "dog ax"


def test_texts_made_at_random_are_the_same_each_time_and_of_all_kinds() -> None:
    words = ["apple", "chair", "river"]
    drawn = draw_unknown_texts(words, 20, 0)
    assert drawn == draw_unknown_texts(words, 20, 0)
    assert all(len(texts) >= 12 and all(texts) for texts in drawn.values())
    assert all(set(text.split()) <= set(words) for text in drawn["salad"])


def test_a_detector_is_written_and_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(7, 4)).astype(np.float32)
    written = NoveltyDetector(
        phrases=tuple(f"sound {i}" for i in range(7)),
        levels=round_embeddings(embeddings),
        weights=rng.normal(size=4 + N_STATISTICS).astype(np.float32),
        bias=0.25,
        threshold=0.5,
    )
    written.write(tmp_path / "novelty.npz")
    found = NoveltyDetector.read(tmp_path / "novelty.npz")
    assert (found.phrases, found.bias, found.threshold) == (written.phrases, 0.25, 0.5)
    np.testing.assert_array_equal(found.levels, written.levels)
    np.testing.assert_array_equal(found.weights, written.weights)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.testing.assert_allclose(found.cosines(embeddings[3]), unit @ unit[3], atol=0.02)


@pytest.mark.parametrize("changed", ["phrases", "weights", "levels"])
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changed: str) -> None:
    arrays: dict[str, np.ndarray] = {
        "phrases": np.array([f"sound {i}" for i in range(7)]),
        "levels": np.ones((7, 4), np.int8),
        "weights": np.ones(4 + N_STATISTICS, np.float32),
        "bias": np.array(0.0),
        "threshold": np.array(0.5),
    }
    np.savez(tmp_path / "right.npz", **arrays)
    NoveltyDetector.read(tmp_path / "right.npz")
    np.savez(tmp_path / "wrong.npz", **arrays | {changed: arrays[changed][:-1]})
    with pytest.raises(BundleError, match="no detector"):
        NoveltyDetector.read(tmp_path / "wrong.npz")


def test_features_are_the_direction_and_statistics_of_a_text(text_folder: Path) -> None:
    tokenizer = Tokenizer(text_folder / "tokenizer.json", 32)
    text = "rain éab"
    embedding = np.array([3.0, 4.0], np.float32)
    cosines = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9], np.float32)
    found = features(text, tokenizer.tokenize(text), embedding, cosines)
    # Two words, "rain" and "eab" in three pieces; none unknown; one of seven letters is foreign.
    expected = [0.6, 0.8, 0.9, np.mean([0.2, 0.3, 0.4, 0.5, 0.9]), 2.0, 0.0, 1 / 7]
    np.testing.assert_allclose(found, expected, atol=1e-6)
