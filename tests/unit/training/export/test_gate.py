from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest
import tiny_run

from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.export.gate import PrecisionGate, embed_all, row_cosines

N_CLIPS = 140
DIM = 64


@dataclass
class FakeEncoder:
    """Embeds a clip by the spectrum of its first samples, changed as the test defines."""

    change: Callable[[np.ndarray], np.ndarray] = lambda embeddings: embeddings
    by_batch: float = 0.0
    reference_weight: float = 0.5

    @property
    def mean(self) -> np.ndarray:
        return np.zeros(DIM, np.float32)

    def embed(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        embeddings = np.stack([np.abs(np.fft.rfft(clip[: 2 * DIM]))[1:] for clip in clips])
        changed: np.ndarray = self.change(embeddings) * (1.0 + self.by_batch * (len(clips) > 1))
        return changed.astype(np.float32)


def as_encoder(fake: FakeEncoder) -> Encoder:
    return cast(Encoder, fake)


@pytest.fixture(scope="module")
def held_out() -> ClipStore:
    return tiny_run.store(np.random.default_rng(0).uniform(-0.3, 0.3, (N_CLIPS, 400)) * FULL_SCALE)


@pytest.fixture(scope="module")
def gate(held_out: ClipStore) -> PrecisionGate:
    return PrecisionGate(as_encoder(FakeEncoder()), held_out, seed=1)


def noisy(amount: float) -> Callable[[np.ndarray], np.ndarray]:
    """Add to every value a function of it that resembles noise."""
    return lambda embeddings: embeddings + amount * np.sin(1e4 * embeddings)


def test_the_same_encoder_passes(gate: PrecisionGate) -> None:
    report = gate.check(as_encoder(FakeEncoder()))
    assert report.faults == []
    assert report.figures["pairs"] == 500
    assert report.figures["difference_cosine_p1"] == pytest.approx(1.0)
    assert report.figures["batch_deviation"] == 0.0
    assert report.figures["recall_at_10"] == report.figures["recall_at_10_float32"]


def test_differences_are_compared_and_not_embeddings(gate: PrecisionGate) -> None:
    """A constant may be added to all embeddings; noise that hardly changes their angle may not."""
    assert gate.check(as_encoder(FakeEncoder(lambda e: e + 5.0))).faults == []
    changed = FakeEncoder(noisy(0.3))
    clips = [np.random.default_rng(i).uniform(-0.3, 0.3, 400) for i in range(3)]
    assert row_cosines(changed.embed(clips), FakeEncoder().embed(clips)).min() > 0.98
    (fault, *_) = gate.check(as_encoder(changed)).faults
    assert fault.startswith("difference_cosine_median is 0.9")
    assert fault.endswith("at least 0.995 is needed")


def test_a_few_bad_differences_are_enough(gate: PrecisionGate) -> None:
    def wrong_for_some(embeddings: np.ndarray) -> np.ndarray:
        changed = embeddings.copy()
        changed[embeddings[:, 0] < np.quantile(embeddings[:, 0], 0.05)] *= -1.0
        return changed

    faults = gate.check(as_encoder(FakeEncoder(wrong_for_some))).faults
    assert any(fault.startswith("difference_cosine_p1") for fault in faults)
    assert not any(fault.startswith("difference_cosine_median") for fault in faults)


def test_dependence_on_the_batch_is_a_fault(gate: PrecisionGate) -> None:
    (fault,) = gate.check(as_encoder(FakeEncoder(by_batch=1e-3))).faults
    assert fault == "batch_deviation is 0.001, at most 1e-05 is needed"


@pytest.mark.parametrize(("score", "n_faults"), [(0.705, 0), (0.691, 0), (0.689, 1)])
def test_one_point_of_a_score_may_be_lost(held_out: ClipStore, score: float, n_faults: int) -> None:
    def scorer(encoder: Encoder) -> dict[str, float]:
        return {"bgknown_a": 0.7 if encoder.reference_weight == 0.5 else score}

    gate = PrecisionGate(as_encoder(FakeEncoder()), held_out, seed=1, scorers=[scorer])
    variant = replace(FakeEncoder(), reference_weight=0.51)
    report = gate.check(as_encoder(variant))
    assert report.figures["bgknown_a"] == score
    assert report.figures["bgknown_a_float32"] == 0.7
    assert report.faults == [f"bgknown_a is {score}, and 0.7 in float32"][:n_faults]


def test_the_added_clip_is_found(gate: PrecisionGate) -> None:
    """Spectra are additive enough for a search by difference to find most of them."""
    assert gate.check(as_encoder(FakeEncoder())).figures["recall_at_10"] > 0.5
    lost = gate.check(as_encoder(FakeEncoder(lambda e: e[:, ::-1] ** 4)))
    assert any(fault.startswith("recall_at_10") for fault in lost.faults)


def test_the_cosine_of_two_zeros_is_1_and_of_one_is_0() -> None:
    zero, one = np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]])
    assert row_cosines(zero, zero).tolist() == [1.0]
    assert row_cosines(zero, one).tolist() == [0.0]
    assert row_cosines(one, -2 * one).tolist() == [-1.0]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 40])
def test_clips_are_embedded_in_order_however_many(n: int) -> None:
    clips = [np.random.default_rng(i).uniform(-1, 1, 200) for i in range(n)]
    encoder = FakeEncoder()
    assert np.array_equal(embed_all(as_encoder(encoder), iter(clips)), encoder.embed(clips))
