from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import synth
import tiny_run
from tiny_evaluation import BandEmbedder

from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.export.reference_weight import (
    choose_reference_weight,
    mix,
    other_recordings,
    pair_clips,
    rank_of_added,
)


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
    same = choice.same
    assert (choice.n_clips, same.n_pairs) == (12, 48)
    assert same.recall_at_1[1.0] == same.reciprocal_rank[1.0] == 1.0
    assert same.recall_at_1[0.0] < 1.0
    assert same.reciprocal_rank[choice.weight] == max(same.reciprocal_rank.values())
    assert set(same.recall_at_1) == {round(0.05 * i, 2) for i in range(21)}
    assert choice.other is None  # the clips have no labels


def labelled(store: ClipStore, label_of: Sequence[str], recording_of: Sequence[str]) -> ClipStore:
    clips = [
        dataclasses.replace(clip, columns={"label": label, "recording": recording})
        for clip, label, recording in zip(store.clips, label_of, recording_of, strict=True)
    ]
    return ClipStore(clips, store.samples, store.starts, store.lengths)


def test_the_weight_is_the_best_on_average_over_both_situations() -> None:
    """Neighbouring bands are recordings of one kind: alike, but not equal."""
    encoder = cast(Encoder, BandEmbedder())
    store = labelled(sounds(12), [f"kind{i // 3}" for i in range(12)], [str(i) for i in range(12)])
    choice = choose_reference_weight(encoder, store, np.zeros(40, np.float32), 0)
    assert choice.other is not None
    assert choice.other.n_pairs == 48
    both = {
        w: rank + choice.other.reciprocal_rank[w] for w, rank in choice.same.reciprocal_rank.items()
    }
    assert both[choice.weight] == max(both.values())
    assert max(choice.other.reciprocal_rank.values()) < 1.0


def test_another_recording_has_the_label_but_no_source_of_the_pair() -> None:
    labels = ["rain", "rain", "rain", "wind", "wind", "", ""]
    recordings = ["a", "a", "b", "c", "d", "e", "f"]
    clips = labelled(sounds(7), labels, recordings).clips
    added, references = np.array([3, 2, 0, 0, 4]), np.array([0, 0, 3, 5, 3])
    drawn = other_recordings(clips, added, references, 0)
    assert drawn.tolist() == [2, -1, 4, -1, -1]
