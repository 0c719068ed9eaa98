from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synth
from tiny_evaluation import BandEmbedder

from training.errors import DatasetError
from training.evaluation.embeddings import (
    embed_cached,
    fit_length,
    hash_files,
    read_sound,
)


def load(i: int) -> np.ndarray:
    return synth.tone(200.0 + 40.0 * i, 0.5)


def test_clips_are_embedded_once_and_in_order(tmp_path: Path) -> None:
    embedder = BandEmbedder()
    first = embed_cached(embedder, load, 70, "tones", tmp_path)
    assert embedder.embedded == 70
    assert np.array_equal(first, embedder.embed([load(i) for i in range(70)]))
    embedder.embedded = 0
    assert np.array_equal(embed_cached(embedder, load, 70, "tones", tmp_path), first)
    assert embedder.embedded == 0


def test_other_data_and_other_encoders_are_kept_apart(tmp_path: Path) -> None:
    for embedder, data in (
        (BandEmbedder(), "a"),
        (BandEmbedder(), "b"),
        (BandEmbedder(None, "x"), "a"),
    ):
        embed_cached(embedder, load, 3, data, tmp_path)
        assert embedder.embedded == 3


def test_an_interrupted_run_leaves_no_cache(tmp_path: Path) -> None:
    def fail(i: int) -> np.ndarray:
        if i == 40:
            raise DatasetError("gone")
        return load(i)

    with pytest.raises(DatasetError, match="gone"):
        embed_cached(BandEmbedder(), fail, 70, "tones", tmp_path)
    assert len(embed_cached(BandEmbedder(), load, 70, "tones", tmp_path)) == 70


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing to embed"):
        embed_cached(BandEmbedder(), load, 0, "none", tmp_path)


def test_a_clip_is_cut_or_padded_with_zeros() -> None:
    clip = np.arange(1, 5, dtype=np.float32)
    assert fit_length(clip, 2).tolist() == [1, 2]
    assert fit_length(clip, 2, start=2).tolist() == [3, 4]
    assert fit_length(clip, 6).tolist() == [1, 2, 3, 4, 0, 0]


def test_files_that_change_have_another_hash(tmp_path: Path) -> None:
    path = synth.write(tmp_path / "a.wav", load(0))
    before = hash_files([path])
    assert hash_files([path]) == before
    synth.write(path, synth.tone(200.0, 0.6))
    assert hash_files([path]) != before
    with pytest.raises(DatasetError, match="not there"):
        hash_files([tmp_path / "b.wav"])
    with pytest.raises(DatasetError, match=r"b\.wav cannot be read"):
        read_sound(tmp_path / "b.wav")
