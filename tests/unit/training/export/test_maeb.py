from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.audio.decoding import resample
from service.bundle.files import load_bundle
from service.inference.encoder import Encoder
from training.errors import DatasetError
from training.export.maeb import MaebEncoder, load_encoder

TONES = [synth.tone(440.0, 1.0), synth.noise(3, 0.7), synth.chirp(200, 3000, 0.4)]
MODULES = {
    "Classification": "classification",
    "ClusteringTask": "clustering",
    "PairClassification": "pair_classification",
}
REASON = "mteb is not installed; `pip install 'minuend[evaluation]'` adds it"


@pytest.fixture
def encoder(tiny_bundle_path: Path) -> MaebEncoder:
    return load_encoder(tiny_bundle_path, device="cpu")


def batch(*clips: np.ndarray, rate: int = 16_000) -> dict[str, Any]:
    return {"audio": [{"array": clip, "sampling_rate": rate} for clip in clips]}


def test_clips_of_all_batches_are_embedded_in_order_as_they_are_served(
    encoder: MaebEncoder, tiny_bundle_path: Path
) -> None:
    found = encoder.encode([batch(*TONES[:2]), batch(TONES[2])], task_metadata=None)
    served = Encoder.open(load_bundle(tiny_bundle_path), device="cpu").embed(TONES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, served, rtol=1e-5, atol=1e-6)


def test_channels_are_mixed_down_and_rates_converted_as_by_the_service(
    encoder: MaebEncoder,
) -> None:
    left, right = (
        synth.tone(500.0, 1.0, sample_rate=44_100),
        synth.noise(1, 1.0, sample_rate=44_100),
    )
    stereo = encoder.encode([batch(np.stack([left, right]), rate=44_100)])
    mono = resample(((left + right) / 2).astype(np.float32), 44_100, 16_000)
    np.testing.assert_allclose(stereo, encoder.encode([batch(mono)]), rtol=1e-4, atol=1e-5)


def test_similarity_is_the_cosine(encoder: MaebEncoder) -> None:
    rows = np.array([[3.0, 4.0], [4.0, -3.0], [0.0, 0.0]])
    np.testing.assert_allclose(
        encoder.similarity(rows, 2 * rows), np.diag([1.0, 1.0, 0.0]), atol=1e-12
    )
    np.testing.assert_allclose(encoder.similarity_pairwise(rows, 2 * rows), [1.0, 1.0, 0.0])
    assert encoder.similarity(rows[0], rows[1]).shape == (1, 1)


def test_what_is_no_audio_is_refused(encoder: MaebEncoder) -> None:
    with pytest.raises(DatasetError, match="embeds audio only; a batch has \\['text'\\]"):
        encoder.encode([{"text": ["rain"]}])
    with pytest.raises(DatasetError, match="no samples"):
        encoder.encode([batch(np.zeros(0, np.float32))])
    with pytest.raises(DatasetError, match="nothing to embed"):
        encoder.encode([])


def test_the_adapter_does_not_need_mteb_to_be_imported() -> None:
    assert "mteb" not in sys.modules


@pytest.mark.filterwarnings("ignore")
def test_it_is_an_encoder_by_the_protocol_of_mteb(encoder: MaebEncoder) -> None:
    pytest.importorskip("mteb", reason=REASON)
    from mteb.models.models_protocols import EncoderProtocol

    assert isinstance(encoder, EncoderProtocol)
    about = encoder.mteb_model_meta
    assert about.name == f"minuend/{encoder.manifest.id}"
    assert about.modalities == ["audio"]
    assert about.embed_dim == encoder.encoder.dim


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["Classification", "ClusteringTask", "PairClassification"])
def test_mteb_evaluates_it_on_tasks_of_its_own(
    kind: str, encoder: MaebEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks' random sounds stay arrays, so that no FFmpeg is needed to decode them."""
    mteb = pytest.importorskip("mteb", reason=REASON)
    monkeypatch.setattr("datasets.DatasetDict.cast_column", lambda data, *_: data)
    tasks = importlib.import_module(f"mteb.mocks.mock_tasks.{MODULES[kind]}")
    task = getattr(tasks, f"MockAudio{kind}")()
    (result,) = mteb.evaluate(encoder, task, cache=None, show_progress_bar=False).task_results
    assert np.isfinite(result.get_score())
    assert result.get_score() > 0
