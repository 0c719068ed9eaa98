from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_scene
import tiny_takes

from training.change_detection.collection import Collection, collect
from training.change_detection.render import render_take
from training.data.attribution import TRAINED, write_attribution
from training.errors import DatasetError
from training.evaluation.encoders import open_embedder


def test_every_take_has_its_embedding(collection: Collection, takes_bundle: Path) -> None:
    embedder = open_embedder(str(takes_bundle), threads=1)
    for number in (0, 7, len(collection.takes) - 1):
        clip = render_take(collection.material.store, collection.takes[number])
        np.testing.assert_allclose(
            collection.embeddings[number], embedder.embed([clip])[0], atol=1e-4
        )


def test_what_was_embedded_is_read_again(
    takes_corpus: Path, takes_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = collect(takes_corpus, open_embedder(str(takes_bundle), threads=1), tmp_path)
    embedder = open_embedder(str(takes_bundle), threads=1)
    monkeypatch.setattr(type(embedder), "embed", lambda *_: pytest.fail("embedded again"))

    again = collect(takes_corpus, embedder, tmp_path)

    np.testing.assert_array_equal(first.embeddings, again.embeddings)


def test_nuisances_are_the_same_sound_otherwise(collection: Collection) -> None:
    for other, plain in collection.nuisances():
        one, same = collection.takes[other], collection.takes[plain]
        assert (one.row, one.first, one.event) == (same.row, same.first, None)
        assert same.condition == "plain" != one.condition


def test_a_take_may_be_shipped_if_its_recording_and_its_event_may(
    takes_bundle: Path, tmp_path: Path
) -> None:
    rows = [
        ({**columns, "permissive": int("rain0" not in path and "dog" not in path)}, sound)
        for columns, sound in tiny_takes.corpus()
        for path in [str(columns["path"])]
    ]
    manifest = tiny_scene.write(tmp_path / "corpus", rows)

    found = collect(manifest, open_embedder(str(takes_bundle), threads=1), tmp_path / "cache")

    clips = found.material.store.clips
    for take, may in zip(found.takes, found.is_permissive, strict=True):
        names = [clips[row].name for row in (take.row, take.event) if row is not None]
        assert may == (not any("rain0" in name or "dog" in name for name in names))


def test_a_folder_is_no_manifest(takes_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no manifest"):
        collect(tmp_path, open_embedder(str(takes_bundle), threads=1), tmp_path)


def test_recordings_that_the_encoder_heard_are_counted(
    collection: Collection, tmp_path: Path
) -> None:
    clips = collection.material.store.clips
    heard = [clips[row] for row in collection.material.recordings[:2]]
    write_attribution(tmp_path / "ATTRIBUTION.csv", {TRAINED: heard}, None)

    assert collection.count_heard(tmp_path) == 2
