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
from training.scenes.apwd_audio import ApwdSounds, generate_apwd
from training.scenes.generate import open_encoder
from training.scenes.load import load_scenes
from training.scenes.pair import Clip

# A tone below 8 kHz loses nothing to the resampling but its fades, which are not measured.
TONE_LU = 0.3
HALF = 2.0**-10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apwd")
    tiny_apwd.write(folder)
    return folder


@pytest.fixture(scope="module")
def release(folder: Path) -> Release:
    return read_release(folder / "jams")


@pytest.fixture(scope="module")
def sounds(release: Release, folder: Path) -> ApwdSounds:
    return ApwdSounds(release, folder / "fsd50k", folder / "esc50")


def test_an_event_is_rendered_where_and_as_loud_as_its_recipe_says(
    release: Release, sounds: ApwdSounds
) -> None:
    (item,) = (i for i in release.pairs[0].target.items if i.role == "event")
    clip = sounds.clip(Clip(items=(item,), labels=()), -30.0)
    assert clip.shape == (160_000,)
    heard = clip[32_000:48_000]
    assert loudness(heard, 16_000) == pytest.approx(-30.0 + 6.0, abs=TONE_LU)
    # The filter of the resampler rings a little beyond the event.
    assert abs(clip[:31_900]).max() < 1e-3
    assert abs(clip[48_100:]).max() < 1e-3


def test_an_event_starts_where_it_is_active_and_is_cut_at_the_end(
    release: Release, sounds: ApwdSounds
) -> None:
    """The source begins with a second of silence, of which nothing is heard."""
    (item,) = (i for i in release.pairs[4].target.items if i.role == "event")
    assert item.onset_s == 8.5
    clip = sounds.clip(Clip(items=(item,), labels=()), -30.0)
    assert loudness(clip[136_000:], 16_000) > -30.0
    assert not abs(clip[:135_900]).max() > 1e-3


def test_backgrounds_shorter_than_20_s_are_repeated(release: Release, sounds: ApwdSounds) -> None:
    """An excerpt of 10 s of a file of 6 s repeats itself after 6 s."""
    item = release.pairs[0].query.items[0]
    assert item.path == "101.wav"
    clip = sounds.clip(Clip(items=(item,), labels=()), -30.0)
    first, second = clip[1_000:60_000], clip[97_000:156_000]
    assert np.corrcoef(first, second)[0, 1] > 0.999


def test_a_loud_clip_is_cut_at_full_scale_as_the_official_files_are(
    release: Release, sounds: ApwdSounds
) -> None:
    (item,) = (i for i in release.pairs[0].target.items if i.role == "event")
    clip = sounds.clip(Clip(items=(item,), labels=()), 10.0)
    # Band-limiting a square wave overshoots.
    assert 1.0 <= abs(clip).max() < 1.5


def test_the_set_is_like_one_of_ours(
    folder: Path, release: Release, sounds: ApwdSounds, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    arguments = (folder / "jams", folder / "fsd50k", folder / "esc50", tiny_bundle_path)
    for name in ("one", "two", "one"):
        generate_apwd(*arguments, tmp_path / name)
    encoder: Encoder = open_encoder(tiny_bundle_path)
    found = load_scenes(tmp_path / "one", encoder.fingerprint)
    assert found.pairs == release.pairs
    assert found.event_rows == release.events
    pair = release.pairs[3]
    (expected,) = encoder.embed([sounds.clip(pair.target, pair.ref_db)])
    assert np.allclose(found.target[3], expected, rtol=HALF, atol=1e-3)
    about = json.loads((tmp_path / "one" / "about.json").read_bytes())
    assert (about["scene"], about["release"], about["n_pairs"]) == ("rain", "apwd", 5)
    again = load_scenes(tmp_path / "two", encoder.fingerprint)
    assert np.array_equal(again.query, found.query)


def test_missing_sources_are_counted_and_named(folder: Path, release: Release) -> None:
    with pytest.raises(DatasetError, match=r"3 of 6 source files .* first of them 1-2-A-19\.wav"):
        ApwdSounds(release, folder / "fsd50k", folder / "jams")
    with pytest.raises(DatasetError, match="is no folder"):
        ApwdSounds(release, folder / "nowhere", folder / "esc50")


def test_a_source_that_is_no_sound_is_said(release: Release, tmp_path: Path) -> None:
    tiny_apwd.write(tmp_path)
    (tmp_path / "fsd50k" / "deep" / "101.wav").write_text("text")
    sounds = ApwdSounds(release, tmp_path / "fsd50k", tmp_path / "esc50")
    with pytest.raises(DatasetError, match=r"101\.wav: "):
        sounds(release.pairs[0].query.items[0])
