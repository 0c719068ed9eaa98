from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_scene

from training.change_detection.render import add_event, render_take, through_mp3
from training.change_detection.takes import EXCERPT, SHIFT, Take
from training.data.loudness import loudness
from training.data.store import ClipStore

RATE = 16_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_scene.store(tiny_scene.write(tmp_path_factory.mktemp("corpus")))


@pytest.fixture(scope="module")
def take(store: ClipStore) -> Take:
    row = next(i for i, clip in enumerate(store.clips) if clip.name == "ambience/rain0.wav")
    return Take(row=row, first=1000, condition="plain")


def test_a_plain_take_is_the_excerpt(store: ClipStore, take: Take) -> None:
    expected = store.part(take.row, 1000, 1000 + EXCERPT)
    assert np.array_equal(render_take(store, take), expected)


@pytest.mark.parametrize(("condition", "factor"), [("+6 dB", 1.9953), ("-6 dB", 0.5012)])
def test_a_gain_scales_the_take(
    store: ClipStore, take: Take, condition: str, factor: float
) -> None:
    louder = render_take(store, replace(take, condition=condition))
    np.testing.assert_allclose(louder, factor * render_take(store, take), rtol=1e-3, atol=1e-7)


def test_a_shift_moves_the_excerpt(store: ClipStore, take: Take) -> None:
    shifted = render_take(store, replace(take, condition="50 ms"))
    assert np.array_equal(shifted[:-SHIFT], render_take(store, take)[SHIFT:])


def test_an_mp3_sounds_alike_and_is_as_long(store: ClipStore, take: Take) -> None:
    plain = render_take(store, take)
    coded = render_take(store, replace(take, condition="mp3"))

    assert coded.shape == plain.shape
    assert not np.array_equal(coded, plain)
    assert loudness(coded, RATE) == pytest.approx(loudness(plain, RATE), abs=1.5)


def test_a_tone_survives_an_mp3(tmp_path: Path) -> None:
    tone = synth.tone(440, 2.0, amplitude=0.3)
    middle = slice(8_000, 24_000)
    coded = through_mp3(tone)[middle]
    assert np.std(coded) == pytest.approx(np.std(tone[middle]), rel=0.05)


@pytest.mark.parametrize("onset", [0.0, 0.5, 1.0])
def test_an_event_is_added_as_loud_as_the_excerpt(onset: float) -> None:
    excerpt = synth.noise(0, 5.0, amplitude=0.05)
    burst = synth.tone(900, 1.0, amplitude=0.7)
    sound = np.concatenate([synth.silence(1.0), burst, synth.silence(1.0)])

    added = add_event(excerpt, sound, onset) - excerpt

    heard = np.flatnonzero(np.abs(added) > 1e-4)
    length = heard[-1] - heard[0]
    assert length == pytest.approx(RATE, rel=0.05)
    assert heard[0] == pytest.approx(onset * (excerpt.size - length), abs=0.05 * RATE)
    inside = added[heard[0] : heard[-1]]
    assert loudness(inside, RATE) == pytest.approx(loudness(excerpt, RATE), abs=0.5)


def test_an_event_longer_than_the_excerpt_is_cut(store: ClipStore) -> None:
    excerpt = synth.noise(0, 1.0, amplitude=0.05)
    assert add_event(excerpt, synth.tone(900, 3.0), 0.7).shape == excerpt.shape
