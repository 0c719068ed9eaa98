from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synth
import tiny_scene

from training.change_detection.excerpts import EXCERPT_SAMPLES, SHIFT_SAMPLES, Excerpt
from training.change_detection.render import add_event, render_excerpt
from training.data.loudness import loudness
from training.data.store import ClipStore

RATE = 16_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_scene.store(tiny_scene.write(tmp_path_factory.mktemp("corpus")))


@pytest.fixture(scope="module")
def excerpt(store: ClipStore) -> Excerpt:
    row = next(i for i, clip in enumerate(store.clips) if clip.name == "ambience/rain0.wav")
    return Excerpt(recording=row, start=1000, condition="plain")


def test_a_plain_excerpt_is_unprocessed(store: ClipStore, excerpt: Excerpt) -> None:
    expected = store.part(excerpt.recording, 1000, 1000 + EXCERPT_SAMPLES)
    assert np.array_equal(render_excerpt(store, excerpt), expected)


@pytest.mark.parametrize(("condition", "factor"), [("+6 dB", 1.9953), ("-6 dB", 0.5012)])
def test_a_gain_scales_the_excerpt(
    store: ClipStore, excerpt: Excerpt, condition: str, factor: float
) -> None:
    louder = render_excerpt(store, replace(excerpt, condition=condition))
    np.testing.assert_allclose(
        louder, factor * render_excerpt(store, excerpt), rtol=1e-3, atol=1e-7
    )


def test_a_shift_moves_the_excerpt(store: ClipStore, excerpt: Excerpt) -> None:
    shifted = render_excerpt(store, replace(excerpt, condition="50 ms"))
    assert np.array_equal(shifted[:-SHIFT_SAMPLES], render_excerpt(store, excerpt)[SHIFT_SAMPLES:])


def test_an_mp3_sounds_alike_and_is_as_long(store: ClipStore, excerpt: Excerpt) -> None:
    plain = render_excerpt(store, excerpt)
    coded = render_excerpt(store, replace(excerpt, condition="mp3"))

    assert coded.shape == plain.shape
    assert not np.array_equal(coded, plain)
    assert loudness(coded, RATE) == pytest.approx(loudness(plain, RATE), abs=1.5)


@pytest.mark.parametrize("onset", [0.0, 0.5, 1.0])
def test_an_event_is_added_as_loud_as_the_excerpt(onset: float) -> None:
    excerpt = synth.noise(0, 5.0, amplitude=0.05)
    burst = synth.tone(900, 1.0, amplitude=0.7)
    sound = np.concatenate([synth.silence(1.0), burst, synth.silence(1.0)])

    added = add_event(excerpt, sound, onset) - excerpt

    active = np.flatnonzero(np.abs(added) > 1e-4)
    length = active[-1] - active[0]
    assert length == pytest.approx(RATE, rel=0.05)
    assert active[0] == pytest.approx(onset * (excerpt.size - length), abs=0.05 * RATE)
    inside = added[active[0] : active[-1]]
    assert loudness(inside, RATE) == pytest.approx(loudness(excerpt, RATE), abs=0.5)


def test_an_event_longer_than_the_excerpt_is_cut(store: ClipStore) -> None:
    excerpt = synth.noise(0, 1.0, amplitude=0.05)
    assert add_event(excerpt, synth.tone(900, 3.0), 0.7).shape == excerpt.shape
