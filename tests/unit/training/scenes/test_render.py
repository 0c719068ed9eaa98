from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_scene

from training.data.loudness import loudness
from training.scenes.draw import draw_pairs
from training.scenes.pair import Clip, Item, Pair
from training.scenes.render import (
    BACKGROUND_PEAK,
    StoredSources,
    prepare_background,
    prepare_event,
    render_clip,
)

RATE = 16_000
REFERENCE_LUFS = -30.0
# Effect of the fades of 10 ms, which are not measured, on one second at most [LU].
FADES_LU = 0.2

EVENT = Item(
    role="event",
    label="dog",
    path="dog.wav",
    from_s=0.0,
    length_s=2.0,
    source_time_s=0.0,
    onset_s=3.0,
    duration_s=2.0,
    snr_db=6.0,
)
BACKGROUND = replace(
    EVENT, role="background", label="rain", onset_s=0.0, duration_s=10.0, snr_db=0.0
)
SOURCES = {
    "event": synth.tone(1000.0, 2.0, amplitude=0.01),
    "background": prepare_background(synth.noise(5, 25.0), RATE),
    "more": prepare_background(synth.noise(6, 25.0), RATE),
}


def rendered(*items: Item) -> np.ndarray:
    return render_clip(
        Clip(items=items, labels=()), REFERENCE_LUFS, lambda i: SOURCES[i.role], RATE
    )


@pytest.fixture(scope="module")
def sources(corpus: Path) -> StoredSources:
    return StoredSources.of(tiny_scene.store(corpus))


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> list[Pair]:
    return draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(40))


@pytest.mark.parametrize("snr_db", [-12.0, 0.0, 6.5])
@pytest.mark.parametrize(
    "item", [EVENT, BACKGROUND, replace(BACKGROUND, role="more", source_time_s=7.0)]
)
def test_an_item_has_the_loudness_that_was_drawn(item: Item, snr_db: float) -> None:
    clip = rendered(replace(item, snr_db=snr_db))
    first, last = (round(s * RATE) for s in (item.onset_s, item.onset_s + item.duration_s))
    level = loudness(clip[first:last], RATE)
    assert level == pytest.approx(REFERENCE_LUFS + snr_db, abs=FADES_LU)
    assert not clip[:first].any()
    assert not clip[last:].any()


def test_a_clip_is_the_sum_of_its_items(pairs: list[Pair], sources: StoredSources) -> None:
    for pair in pairs[:3]:
        parts = [
            render_clip(Clip(items=(item,), labels=()), pair.ref_db, sources, RATE)
            for item in pair.query.items
        ]
        whole = render_clip(pair.query, pair.ref_db, sources, RATE)
        assert whole.shape == (10 * RATE,)
        assert whole.dtype == np.float32
        assert np.allclose(whole, np.sum(parts, axis=0), atol=1e-6)


def test_events_fade_and_backgrounds_do_not() -> None:
    event, background, more = (
        rendered(EVENT),
        rendered(BACKGROUND),
        rendered(replace(BACKGROUND, role="more")),
    )
    assert event[3 * RATE] == 0
    assert abs(event[3 * RATE : 3 * RATE + 16]).max() < 0.2 * abs(event).max()
    assert background[0] != 0
    assert more[0] == more[-1] == 0


def test_an_event_is_cut_at_the_end_of_the_clip() -> None:
    clip = rendered(replace(EVENT, onset_s=9.0))
    assert clip.shape == (10 * RATE,)
    assert not clip[: 9 * RATE].any()
    assert loudness(clip[9 * RATE :], RATE) == pytest.approx(REFERENCE_LUFS + 6, abs=FADES_LU)


def test_the_sum_is_not_clipped() -> None:
    assert abs(rendered(replace(EVENT, snr_db=40.0))).max() > 1


@pytest.mark.parametrize("seconds", [0.001, 3.0, 7.3, 19.99, 20.0, 31.0])
def test_a_background_is_repeated_until_any_excerpt_fits(seconds: float) -> None:
    waveform = synth.noise(7, seconds)
    found = prepare_background(waveform, RATE)
    assert found.size >= 20 * RATE
    assert abs(found).max() == pytest.approx(BACKGROUND_PEAK)
    scale = found[0] / waveform[0]
    for start in range(0, found.size - waveform.size + 1, waveform.size)[:50]:
        assert np.allclose(found[start : start + waveform.size], scale * waveform, atol=1e-6)


def test_a_silent_background_stays_silent() -> None:
    assert not prepare_background(synth.silence(3.0), RATE).any()


def test_an_event_fades_like_a_hann_window() -> None:
    n = RATE // 100
    hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1))
    assert np.allclose(prepare_event(np.ones(RATE, np.float32), RATE)[:n], hann, atol=1e-6)


def test_a_stored_source_is_the_part_of_its_file(sources: StoredSources) -> None:
    store, row = sources.store, next(r for n, r in sources.rows.items() if "rain0" in n)
    name = store.clips[row].name
    item = replace(BACKGROUND, path=name, from_s=20.0, length_s=20.0)
    part = store.clip(row)[20 * RATE : 40 * RATE]
    assert np.array_equal(sources(item), prepare_background(part, RATE))
    event = replace(EVENT, path=name, from_s=1.5, length_s=0.25)
    assert np.array_equal(sources(event), prepare_event(store.clip(row)[24_000:28_000], RATE))
