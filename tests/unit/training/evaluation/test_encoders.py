from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synth
import torch

from service.bundle.files import load_bundle
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.errors import DatasetError, TeacherError
from training.evaluation import encoders as module
from training.evaluation.encoders import TorchEmbedder, baselines, open_embedder, random_model
from training.model.frontend import LogMel
from training.teacher.files import find_teacher
from training.teacher.yamnet import Yamnet

CLIPS = [synth.tone(440.0, 1.0), synth.noise(0, 1.5), synth.chirp(200, 3000, 0.7)]


def test_a_bundle_is_evaluated_as_it_is_served(tiny_bundle_path: Path) -> None:
    embedder = open_embedder(str(tiny_bundle_path))
    bundle = load_bundle(tiny_bundle_path)
    served = Encoder.open(bundle, device="cpu").embed(CLIPS)
    embedder.fit(CLIPS)
    assert np.array_equal(embedder.embed(CLIPS), served)
    assert embedder.identity == bundle.manifest.encoder.fingerprint
    about = embedder.describe()
    assert about["recipe"] == bundle.manifest.training.recipe
    assert about["statistics"] == "bundle"


@pytest.mark.usefixtures("narrow")
def test_an_untrained_encoder_depends_on_its_seed_only() -> None:
    one, same, other = (open_embedder(f"random:{seed}") for seed in (1, 1, 2))
    for embedder in (one, same, other):
        embedder.fit(CLIPS)
    assert np.array_equal(one.embed(CLIPS), same.embed(CLIPS))
    assert not np.array_equal(one.embed(CLIPS), other.embed(CLIPS))
    assert one.identity == same.identity != other.identity
    with pytest.raises(DatasetError, match="a seed must follow 'random:'"):
        open_embedder("random:x")


@pytest.mark.usefixtures("narrow")
def test_statistics_are_those_of_the_data_set() -> None:
    embedder = TorchEmbedder(random_model(0), "x")
    before = embedder.identity
    embedder.fit(CLIPS)
    values = torch.cat([LogMel()(torch.from_numpy(clip)[None]).flatten() for clip in CLIPS])
    assert float(embedder.model.mean) == pytest.approx(float(values.double().mean()), rel=1e-5)
    deviation = float(values.double().std(correction=0))
    assert float(embedder.model.std) == pytest.approx(deviation, rel=1e-5)
    assert embedder.identity != before


@pytest.mark.usefixtures("narrow")
def test_a_clip_does_not_depend_on_its_batch() -> None:
    embedder = TorchEmbedder(random_model(0), "x")
    embedder.fit(CLIPS)
    together = embedder.embed(CLIPS)
    alone = np.concatenate([embedder.embed([clip]) for clip in CLIPS])
    assert np.abs(together - alone).max() <= 1e-5 * np.abs(alone).max()


def test_the_log_mel_baseline_is_mean_and_deviation_of_each_band() -> None:
    embedder = open_embedder("log-mel")
    embedder.fit(CLIPS)
    embedded = embedder.embed(CLIPS)
    log_mel = LogMel()(torch.from_numpy(CLIPS[1])[None])[0].double().numpy()
    expected = np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1)])
    assert embedded.shape == (3, 128)
    assert np.allclose(embedded[1], expected, atol=1e-4)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    for statistics in ("bundle", "dataset"):
        with pytest.raises(BundleError, match="is no bundle"):
            open_embedder(str(tmp_path), statistics)


def test_the_teacher_is_an_encoder_whose_clips_do_not_depend_on_their_batch() -> None:
    embedder = open_embedder("teacher")
    embedder.fit(CLIPS)
    together = embedder.embed(CLIPS)
    alone = Yamnet(find_teacher())(torch.from_numpy(CLIPS[1])[None]).embedding[0].numpy()
    assert together.shape == (3, 1024)
    np.testing.assert_allclose(together[1], alone, rtol=1e-4, atol=1e-5)
    assert embedder.manifest is None
    assert embedder.describe()["kind"] == "teacher"


def test_the_teacher_is_a_baseline_only_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert baselines() == ["random:0", "log-mel", "teacher"]

    def missing() -> None:
        raise TeacherError("not installed")

    monkeypatch.setattr(module, "find_teacher", missing)
    assert baselines() == ["random:0", "log-mel"]
