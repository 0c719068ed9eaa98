from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_apwd

from service.inference.encoder import Encoder
from training.data.loudness import loudness
from training.errors import DatasetError
from training.scenes.apwd import Release, read_release
from training.scenes.apwd_audio import ApwdSources, generate_apwd
from training.scenes.generate import open_scene_encoder
from training.scenes.load import load_scenes
from training.scenes.pair import Clip

# Resampling does not change a tone below 8 kHz; its fades, which are not measured, do [LU].
TONE_LU = 0.3
HALF_PRECISION = 2.0**-10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apwd")
    tiny_apwd.write(folder)
    return folder


@pytest.fixture(scope="module")
def release(folder: Path) -> Release:
    return read_release(folder / "jams")


@pytest.fixture(scope="module")
def sources(release: Release, folder: Path) -> ApwdSources:
    return ApwdSources(release, folder / "fsd50k", folder / "esc50")


def test_an_event_has_the_onset_and_the_loudness_of_its_recipe(
    release: Release, sources: ApwdSources
) -> None:
    (item,) = (i for i in release.pairs[0].target.items if i.role == "event")
    clip = sources.render(Clip(items=(item,), labels=()), -30.0)
    assert clip.shape == (160_000,)
    excerpt = clip[32_000:48_000]
    assert loudness(excerpt, 16_000) == pytest.approx(-30.0 + 6.0, abs=TONE_LU)
    # The filter of the resampler rings a little beyond the event.
    assert abs(clip[:31_900]).max() < 1e-3
    assert abs(clip[48_100:]).max() < 1e-3


def test_an_event_starts_where_it_is_active_and_is_cut_at_the_end(
    release: Release, sources: ApwdSources
) -> None:
    """The source begins with a second of silence, which is not part of the clip."""
    (item,) = (i for i in release.pairs[4].target.items if i.role == "event")
    assert item.onset_s == 8.5
    clip = sources.render(Clip(items=(item,), labels=()), -30.0)
    assert loudness(clip[136_000:], 16_000) > -30.0
    assert not abs(clip[:135_900]).max() > 1e-3


def test_backgrounds_shorter_than_20_s_are_repeated(release: Release, sources: ApwdSources) -> None:
    """An excerpt of 10 s of a file of 6 s repeats itself after 6 s."""
    item = release.pairs[0].query.items[0]
    assert item.path == "101.wav"
    clip = sources.render(Clip(items=(item,), labels=()), -30.0)
    first, second = clip[1_000:60_000], clip[97_000:156_000]
    assert np.corrcoef(first, second)[0, 1] > 0.999


def test_a_loud_clip_is_cut_at_full_scale_as_the_official_files_are(
    release: Release, sources: ApwdSources
) -> None:
    (item,) = (i for i in release.pairs[0].target.items if i.role == "event")
    clip = sources.render(Clip(items=(item,), labels=()), 10.0)
    # Band-limiting a square wave overshoots.
    assert 1.0 <= abs(clip).max() < 1.5


def test_the_set_has_the_format_of_our_own_sets(
    folder: Path, release: Release, sources: ApwdSources, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    arguments = (folder / "jams", folder / "fsd50k", folder / "esc50", tiny_bundle_path)
    for name in ("one", "two", "one"):
        generate_apwd(*arguments, tmp_path / name)
    encoder: Encoder = open_scene_encoder(tiny_bundle_path)
    found = load_scenes(tmp_path / "one", encoder.fingerprint)
    assert found.pairs == release.pairs
    assert found.event_rows == release.events
    pair = release.pairs[3]
    (expected,) = encoder.embed([sources.render(pair.target, pair.ref_db)])
    assert np.allclose(found.target[3], expected, rtol=HALF_PRECISION, atol=1e-3)
    about = json.loads((tmp_path / "one" / "about.json").read_bytes())
    assert (about["scene"], about["release"], about["n_pairs"]) == ("rain", "apwd", 5)
    again = load_scenes(tmp_path / "two", encoder.fingerprint)
    assert np.array_equal(again.query, found.query)


def test_missing_sources_are_counted_and_named(folder: Path, release: Release) -> None:
    with pytest.raises(DatasetError, match=r"3 of 6 source files .* first of them 1-2-A-19\.wav"):
        ApwdSources(release, folder / "fsd50k", folder / "jams")
    with pytest.raises(DatasetError, match="is no folder"):
        ApwdSources(release, folder / "nowhere", folder / "esc50")


def test_a_source_that_is_no_audio_is_named(release: Release, tmp_path: Path) -> None:
    tiny_apwd.write(tmp_path)
    (tmp_path / "fsd50k" / "deep" / "101.wav").write_text("text")
    sources = ApwdSources(release, tmp_path / "fsd50k", tmp_path / "esc50")
    with pytest.raises(DatasetError, match=r"101\.wav: "):
        sources(release.pairs[0].query.items[0])
