from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import synth
import tiny_run
from tiny_evaluation import BandEmbedder

from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.export.reference_weight import choose_reference_weight, mix, pair_clips, rank_of_added


def sounds(n: int) -> ClipStore:
    """Noise in three neighbouring bands each, one second; neighbours share two of them."""
    random, clips = np.random.default_rng(0), []
    for i in range(n):
        spectrum = np.zeros(8001, np.complex128)
        for band, level in ((i, 1.0), (i + 1, 1.4), (i + 2, 1.0)):
            phase = random.uniform(0, 2 * np.pi, 200)
            spectrum[200 * band : 200 * (band + 1)] = level * np.exp(1j * phase)
        clips.append(np.fft.irfft(spectrum))
    return tiny_run.store(np.rint(np.array(clips) * FULL_SCALE * 10))


def test_every_clip_is_paired_with_others_and_never_with_itself() -> None:
    added, references = pair_clips(7, seed=0)
    assert (added != references).all()
    assert np.bincount(added).tolist() == [4] * 7
    assert (references >= 0).all()
    assert (references < 7).all()
    assert np.array_equal(pair_clips(7, seed=0)[1], references)
    assert not np.array_equal(pair_clips(7, seed=1)[1], references)


@pytest.mark.parametrize("snr_db", [-10.0, 3.0])
def test_a_sound_is_added_at_the_given_ratio(snr_db: float) -> None:
    a, b = synth.tone(400.0, amplitude=0.3), synth.noise(0, 1.0)
    added = mix(a, b, snr_db) - b
    level = 10 * np.log10(np.square(added).mean() / np.square(b).mean())
    assert level == pytest.approx(snr_db, abs=0.01)


def test_by_default_both_sounds_have_equal_power() -> None:
    a, b = synth.tone(400.0, amplitude=0.01), synth.tone(1000.0, 1.5, amplitude=0.3)
    mixture = mix(a, b)
    assert mixture.size == b.size
    assert np.array_equal(mixture[a.size :], b[a.size :])
    part = mixture[: a.size] - b[: a.size]
    assert np.square(part).mean() == pytest.approx(np.square(b).mean(), rel=1e-3)
    assert np.corrcoef(part, a)[0, 1] == pytest.approx(1, abs=1e-6)


def test_silence_does_not_change_a_mixture() -> None:
    noise = synth.noise(0, 0.5)
    assert np.array_equal(mix(synth.silence(0.5), noise), noise)
    assert not mix(noise, synth.silence(0.5)).any()


def test_the_rank_counts_higher_scores_without_the_reference() -> None:
    scores = np.array([[0.9, 0.5, 0.7, 0.1]] * 3)
    ranks = rank_of_added(scores, np.array([1, 1, 0]), np.array([0, 3, 1]))
    assert ranks.tolist() == [2.0, 3.0, 1.0]
    assert scores[0, 0] == 0.9


def test_for_an_encoder_linear_in_power_the_whole_reference_is_subtracted() -> None:
    encoder, store = cast(Encoder, BandEmbedder()), sounds(12)
    choice = choose_reference_weight(encoder, store, np.zeros(40, np.float32), 0)
    assert (choice.n_clips, choice.n_pairs) == (12, 48)
    assert choice.recall_at_1[1.0] == choice.reciprocal_rank[1.0] == 1.0
    assert choice.recall_at_1[0.0] < 1.0
    assert choice.reciprocal_rank[choice.weight] == max(choice.reciprocal_rank.values())
    assert set(choice.recall_at_1) == {round(0.05 * i, 2) for i in range(21)}
