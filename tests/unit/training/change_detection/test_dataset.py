from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_excerpts
import tiny_scene

from service.audio.decoding import AudioLimits
from service.bundle.files import load_bundle
from service.concurrency.timings import RequestTimings
from service.inference.batcher import SynchronousBatcher
from service.inference.encoder import Encoder
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.retrieval.change_features import are_comparable
from training.change_detection.dataset import DetectionDataset, build_dataset
from training.change_detection.render import render_excerpt
from training.change_detection.windows import WINDOWING
from training.data.attribution import TRAINED, write_attribution
from training.evaluation.encoders import open_embedder


def test_every_excerpt_has_its_embedding(dataset: DetectionDataset, bundle_path: Path) -> None:
    embedder = open_embedder(str(bundle_path), threads=1)
    for number in (0, 7, len(dataset.excerpts) - 1):
        clip = render_excerpt(dataset.clips.store, dataset.excerpts[number])
        np.testing.assert_allclose(dataset.embeddings[number], embedder.embed([clip])[0], atol=1e-4)


def test_windows_are_those_of_the_service(dataset: DetectionDataset, bundle_path: Path) -> None:
    encoder = Encoder.open(load_bundle(bundle_path), device="cpu", threads=1)
    limits = RequestLimits(AudioLimits(), max_windows=100)
    files = FileEmbedder(encoder, SynchronousBatcher(encoder), limits=limits)
    clip = render_excerpt(dataset.clips.store, dataset.excerpts[3])
    file = io.BytesIO(synth.encode(clip, sample_rate=16_000, subtype="FLOAT"))

    (embedded,) = files.embed([file], RequestTimings(), windowing=WINDOWING)

    assert embedded.windows is not None
    assert are_comparable([embedded.windows])
    np.testing.assert_allclose(dataset.windows[3], embedded.windows.embeddings, atol=1e-4)


def test_embeddings_are_read_from_the_cache(
    corpus: Path, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_dataset(corpus, open_embedder(str(bundle_path), threads=1), tmp_path)
    embedder = open_embedder(str(bundle_path), threads=1)
    monkeypatch.setattr(type(embedder), "embed", lambda *_: pytest.fail("embedded again"))

    again = build_dataset(corpus, embedder, tmp_path)

    np.testing.assert_array_equal(first.embeddings, again.embeddings)


def test_nuisances_are_pairs_of_the_same_excerpt(dataset: DetectionDataset) -> None:
    for other, plain in dataset.nuisances():
        one, same = dataset.excerpts[other], dataset.excerpts[plain]
        assert (one.recording, one.start, one.event) == (same.recording, same.start, None)
        assert same.condition == "plain" != one.condition


def test_an_excerpt_may_be_shipped_if_its_recording_and_its_event_may(
    bundle_path: Path, tmp_path: Path
) -> None:
    rows = [
        ({**columns, "permissive": int("rain0" not in path and "dog" not in path)}, sound)
        for columns, sound in tiny_excerpts.corpus()
        for path in [str(columns["path"])]
    ]
    manifest = tiny_scene.write(tmp_path / "corpus", rows)

    found = build_dataset(manifest, open_embedder(str(bundle_path), threads=1), tmp_path / "cache")

    clips = found.clips.store.clips
    for excerpt, may in zip(found.excerpts, found.is_permissive, strict=True):
        names = [clips[row].name for row in (excerpt.recording, excerpt.event) if row is not None]
        assert may == (not any("rain0" in name or "dog" in name for name in names))


def test_recordings_that_the_encoder_was_trained_on_are_counted(
    dataset: DetectionDataset, tmp_path: Path
) -> None:
    clips = dataset.clips.store.clips
    seen = [clips[row] for row in dataset.clips.recordings[:2]]
    write_attribution(tmp_path / "ATTRIBUTION.csv", {TRAINED: seen}, None)

    assert dataset.count_seen(tmp_path) == 2
