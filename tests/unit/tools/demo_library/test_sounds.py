"""The demo library: what is rendered, what is committed, and that the two agree."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from jaxtyping import Float64

import service.cli.demo
from service.audio.decoding import Audio, decode
from tools.demo_library import render as script
from tools.demo_library.sound import Sound, render
from tools.demo_library.sounds import SOUNDS
from tools.demo_library.synthesis.level import ACTIVE_RMS, active_rms
from tools.demo_library.synthesis.timeline import SAMPLE_RATE

HOME = Path(service.cli.demo.__file__).parent
CLIPS = HOME / "clips"

# Vorbis at this size leaves 0.86 for the densest noise; any two different sounds are near 0.
MIN_WAVEFORM_CORRELATION = 0.8

# Between maps of loudness over time and frequency; 1 would be a copy.
MAX_SIBLING_CORRELATION = 0.95

# Sounds whose clicks are bent to stay below the peak are a little softer than the others.
LEVEL_RANGE_DB = (-3.0, 0.5)

Samples = Float64[np.ndarray, " samples"]
Rendered = Callable[[Sound], Samples]

each_sound = pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: sound.name)


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Render a sound, each only once for all tests."""
    done: dict[str, Samples] = {}

    def once(sound: Sound) -> Samples:
        if sound.name not in done:
            done[sound.name] = render(sound)
        return done[sound.name]

    return once


def committed(sound: Sound) -> Audio:
    return decode(CLIPS / f"{sound.name}.ogg", sample_rate=SAMPLE_RATE)


def loudness_map(samples: np.ndarray) -> Float64[np.ndarray, "frames bands"]:
    """Level in dB of ten bands in frames of 1024 samples, down to 60 dB below the loudest."""
    frames = samples[: len(samples) // 1024 * 1024].astype(np.float64).reshape(-1, 1024)
    power = np.abs(np.fft.rfft(frames * np.hanning(1024))) ** 2
    edges = np.unique(np.geomspace(2, 400, 11).astype(int))
    bands = np.add.reduceat(power[:, :400], edges[:-1], axis=1)
    levels: np.ndarray = 10 * np.log10(bands + 1e-6 * bands.max())
    return levels


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_about_forty_sounds_of_many_kinds_with_two_or_more_of_each() -> None:
    kinds = Counter(sound.kind for sound in SOUNDS)
    assert 38 <= len(SOUNDS) <= 48
    assert len(kinds) >= 15
    assert min(kinds.values()) >= 2


def test_names_are_unique_and_texts_are_not_empty() -> None:
    assert len({sound.name for sound in SOUNDS}) == len(SOUNDS)
    assert len({sound.description for sound in SOUNDS}) == len(SOUNDS)
    assert all(sound.title and sound.description.endswith(".") for sound in SOUNDS)


@each_sound
def test_a_sound_lasts_as_long_as_it_says(sound: Sound, rendered: Rendered) -> None:
    assert 3.0 <= sound.seconds <= 5.0
    assert len(rendered(sound)) == round(sound.seconds * SAMPLE_RATE)


@each_sound
def test_a_sound_is_finite_without_clipping_or_offset(sound: Sound, rendered: Rendered) -> None:
    samples = rendered(sound)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 0.9
    assert abs(samples.mean()) < 1e-4


@each_sound
def test_sounds_are_about_equally_loud(sound: Sound, rendered: Rendered) -> None:
    level_db = 20 * np.log10(active_rms(rendered(sound)) / ACTIVE_RMS)
    assert LEVEL_RANGE_DB[0] < level_db < LEVEL_RANGE_DB[1]


@each_sound
def test_a_sound_begins_and_ends_in_silence(sound: Sound, rendered: Rendered) -> None:
    samples = rendered(sound)
    assert samples[0] == 0.0
    assert abs(samples[-1]) < 1e-3


@pytest.mark.parametrize("sound", SOUNDS[::7], ids=lambda sound: sound.name)
def test_rendering_twice_gives_the_same_samples(sound: Sound, rendered: Rendered) -> None:
    np.testing.assert_array_equal(render(sound), rendered(sound))


@each_sound
def test_the_committed_clip_is_what_the_script_renders(sound: Sound, rendered: Rendered) -> None:
    clip = committed(sound)
    assert (clip.source_rate_hz, clip.source_channels) == (SAMPLE_RATE, 1)
    assert len(clip.samples) == len(rendered(sound))
    assert np.abs(clip.samples).max() < 1.0
    assert correlation(clip.samples, rendered(sound)) > MIN_WAVEFORM_CORRELATION


def test_sounds_of_one_kind_differ(rendered: Rendered) -> None:
    """Compared over the time that both of them last."""
    for first, second in pairwise(SOUNDS):
        if first.kind == second.kind:
            a, b = rendered(first), rendered(second)
            n = min(len(a), len(b))
            maps = loudness_map(a[:n]), loudness_map(b[:n])
            assert correlation(*maps) < MAX_SIBLING_CORRELATION, (first.name, second.name)


def test_the_table_lists_the_committed_clips() -> None:
    with (HOME / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [
        {
            "file": f"{sound.name}.ogg",
            "kind": sound.kind,
            "title": sound.title,
            "seconds": str(sound.seconds),
            "description": sound.description,
        }
        for sound in SOUNDS
    ]
    assert rows == expected
    assert {path.name for path in CLIPS.iterdir()} == {row["file"] for row in rows}


def test_the_committed_clips_stay_below_a_megabyte() -> None:
    assert sum(path.stat().st_size for path in CLIPS.iterdir()) < 1_000_000


def test_the_script_writes_clips_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SOUNDS", SOUNDS[:1])
    result = CliRunner().invoke(script.main, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 clips" in result.output
    name = f"{SOUNDS[0].name}.ogg"
    assert [path.name for path in (tmp_path / "clips").iterdir()] == [name]
    assert soundfile.info(tmp_path / "clips" / name).subtype == "VORBIS"
    assert len((tmp_path / "clips.csv").read_text(encoding="utf-8").splitlines()) == 2
