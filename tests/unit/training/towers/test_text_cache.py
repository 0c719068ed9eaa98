from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.towers import text_encoder
from training.towers.recipe import TextRecipe
from training.towers.text_cache import TextCache

TEXTS = ["dog", "rain", "add a dog", "dog"]


@pytest.fixture
def text(text_folder: Path) -> TextRecipe:
    return TextRecipe(folder=text_folder, weights_sha256=None, max_tokens=32)


def test_every_text_gets_its_embedding(text: TextRecipe, tmp_path: Path) -> None:
    cache = TextCache(tmp_path, text)
    found = cache.embed(TEXTS)
    assert found.shape == (4, 64)
    assert np.array_equal(found[0], found[3])
    assert not np.array_equal(found[0], found[1])
    assert cache.embed([]).shape == (0, 64)


def test_a_text_is_encoded_once(
    text: TextRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = TextCache(tmp_path, text).embed(TEXTS)
    monkeypatch.setattr(text_encoder, "TextEncoderNetwork", None)  # using it fails
    assert np.array_equal(TextCache(tmp_path, text).embed(TEXTS[::-1]), expected[::-1])


@pytest.mark.parametrize("file", ["texts.jsonl", "embeddings.f32"])
def test_rows_that_a_crash_left_in_one_file_only_are_encoded_again(
    text: TextRecipe, tmp_path: Path, file: str
) -> None:
    expected = TextCache(tmp_path, text).embed(TEXTS)
    (path,) = tmp_path.rglob(file)
    path.write_bytes(path.read_bytes()[:-3])
    assert np.allclose(TextCache(tmp_path, text).embed(TEXTS), expected, atol=1e-6)
    assert np.allclose(TextCache(tmp_path, text).embed(TEXTS), expected, atol=1e-6)


def test_another_number_of_tokens_has_a_cache_of_its_own(text: TextRecipe, tmp_path: Path) -> None:
    long = "a long text that does not fit"
    whole = TextCache(tmp_path, text).embed([long])
    cut = TextCache(tmp_path, text.model_copy(update={"max_tokens": 5})).embed([long])
    assert np.abs(whole - cut).max() > 1e-3
