from __future__ import annotations

import numpy as np
import pytest
from tiny_words import write_manifest

from training.data.loudness import loudness
from training.data.manifest import read_clips
from training.data.store import ClipStore, open_store
from training.errors import DatasetError
from training.evaluation.words.scenes import (
    LEVEL_LUFS,
    SCENE_SAMPLES,
    SNR_LU,
    draw_scenes,
    render,
    scene_clips,
    scene_items,
)
from training.evaluation.words.tables import scene_table
from training.model.frontend import SAMPLE_RATE


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    folder = tmp_path_factory.mktemp("words")
    clips = read_clips(write_manifest(folder))
    return open_store(scene_clips(clips, scene_table()), folder / "cache", 0.0)


def test_partners_have_the_same_sounds_and_no_common_recording(store: ClipStore) -> None:
    partners = draw_scenes(store, scene_table())
    items = scene_items(store, partners)

    assert {(pair.mixtures[0].kind, pair.label) for pair in partners} >= {
        ("rain", "dog"),
        ("wind", "cat"),
    }
    for pair in partners:
        first, second = (items[scene] for scene in pair.mixtures)
        assert first.sounds == second.sounds == {pair.mixtures[0].kind, pair.label}
        assert first.recordings.isdisjoint(second.recordings)
        for mixture, alone in zip(pair.mixtures, pair.backgrounds, strict=True):
            assert items[alone].recordings < items[mixture].recordings
            assert SNR_LU[0] <= mixture.snr_lu <= SNR_LU[1]


def test_the_draw_does_not_depend_on_the_order_of_the_clips(store: ClipStore) -> None:
    order = np.arange(len(store.clips))[::-1]
    turned = ClipStore(
        [store.clips[i] for i in order], store.samples, store.starts[order], store.lengths[order]
    )
    drawn = draw_scenes(store, scene_table())
    again = draw_scenes(turned, scene_table())
    for pair, same in zip(drawn, again, strict=True):
        for scene, other in zip(pair.mixtures, same.mixtures, strict=True):
            assert scene.snr_lu == other.snr_lu
            assert store.clips[scene.background] == turned.clips[other.background]


def test_a_mixture_is_its_background_and_an_event_at_its_level(store: ClipStore) -> None:
    pair = draw_scenes(store, scene_table())[0]
    mixture, alone = render(store, pair.mixtures[0]), render(store, pair.backgrounds[0])

    assert mixture.size == alone.size == SCENE_SAMPLES
    assert loudness(alone, SAMPLE_RATE) == pytest.approx(LEVEL_LUFS, abs=0.1)
    event = mixture - alone
    heard = event[np.flatnonzero(event)[0] : np.flatnonzero(event)[-1] + 1]
    over_lu = loudness(heard, SAMPLE_RATE) - LEVEL_LUFS
    assert over_lu == pytest.approx(pair.mixtures[0].snr_lu, abs=0.5)


def test_clips_without_backgrounds_are_refused(store: ClipStore) -> None:
    events = [clip for clip in store.clips if clip.columns["corpus"] == "esc50"]
    with pytest.raises(DatasetError, match="0 backgrounds"):
        scene_clips(events, scene_table())
