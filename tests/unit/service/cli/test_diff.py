from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
from shell import run, run_json, write_tones


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    return write_tones(tmp_path / "sounds", 4)


@pytest.fixture
def bundle(tiny_bundle_path: Path) -> list[Any]:
    return ["--bundle", tiny_bundle_path]


@pytest.fixture
def library(tmp_path: Path, sounds: list[Path], bundle: list[Any]) -> list[Any]:
    library = ["--library", tmp_path / "library"]
    run("index", sounds[0].parent, *library, *bundle)
    return library


def test_identical_files_have_no_difference(
    sounds: list[Path], bundle: list[Any], library: list[Any]
) -> None:
    alone = run_json("diff", sounds[0], sounds[0], *bundle)
    searched = run_json("diff", sounds[0], sounds[0], *library, *bundle)

    assert (alone["relative_norm"], alone["cosine"]) == (0, 1)
    assert not np.any(alone["embedding"])
    assert "hits" not in alone
    assert searched == {**alone, "hits": []}


def test_the_library_does_not_change_the_difference(
    sounds: list[Path], bundle: list[Any], library: list[Any]
) -> None:
    alone = run_json("diff", sounds[0], sounds[3], *bundle)
    searched = run_json("diff", sounds[0], sounds[3], "-k", 2, *library, *bundle)

    assert len(searched.pop("hits")) == 2
    assert searched == alone


def test_the_library_of_the_environment_is_searched(
    sounds: list[Path],
    bundle: list[Any],
    library: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINUEND_LIBRARY", str(library[1]))

    assert len(run_json("diff", sounds[0], sounds[3], "-k", 1, *bundle)["hits"]) == 1


def test_the_output_has_a_line_for_each_value(
    sounds: list[Path], bundle: list[Any], library: list[Any]
) -> None:
    lines = run("diff", sounds[0], sounds[3], "-k", 2, *library, *bundle).stdout.splitlines()

    words = [line.split()[0] for line in lines[1:]]
    assert lines[0].endswith("not calibrated to tell whether anything changed.")
    assert words == ["relative", "cosine", "level", "nearest", "1", "2"]


def test_several_references_and_a_curve_are_printed(
    sounds: list[Path], bundle: list[Any], library: list[Any]
) -> None:
    lines = run("diff", *sounds[:3], "--curve", *bundle).stdout.splitlines()
    alone = run_json("diff", *sounds[:3], "--curve", *bundle)
    searched = run_json("diff", *sounds[:3], "--curve", *library, *bundle)

    words = [line.split()[0] for line in lines[1:]]
    assert lines[0] == alone["description"]
    assert words[:4] == ["relative", "spread", "cosine", "level"]
    assert len(words) == 4 + len(alone["curve"])
    assert alone["spread"] > 0
    assert alone["curve"][0]["start_s"] == 0
    assert {**alone, "hits": searched["hits"]} == searched


def test_options_of_the_search_need_a_library(sounds: list[Path], bundle: list[Any]) -> None:
    assert "--library" in run("diff", sounds[0], sounds[1], "-k", 2, *bundle, code=2).stderr


def test_a_file_without_audio_is_an_error(
    sounds: list[Path], bundle: list[Any], tmp_path: Path
) -> None:
    words = tmp_path / "words.wav"
    words.write_bytes(b"words, not waves")

    assert "audio" in run("diff", sounds[0], words, *bundle, code=1).stderr
    run("diff", sounds[0], tmp_path / "missing.wav", *bundle, code=2)


def test_a_bundle_with_towers_gives_phrases_for_what_was_added(
    tmp_path: Path, towers_bundle_path: Path
) -> None:
    low, high = tiny_bundle.SOUNDS["low"], tiny_bundle.SOUNDS["high"]
    reference = synth.write(tmp_path / "reference.wav", low)
    mixture = synth.write(tmp_path / "mixture.wav", 0.2 * low + high)
    paths = ["--library", tmp_path / "library", "--bundle", towers_bundle_path]
    run("index", tmp_path, *paths)

    alone = run_json("diff", mixture, reference, *paths[2:])
    searched = run_json("diff", mixture, reference, "--phrases", 2, *paths)
    lines = run("diff", mixture, reference, "--phrases", 1, *paths[2:]).stdout.splitlines()

    assert alone["phrases"][0]["label"] == "high"
    assert len(alone["phrases"]) == 5
    for one, other in zip(searched["phrases"], alone["phrases"][:2], strict=True):
        assert one == {**other, "score": pytest.approx(other["score"], abs=1e-5)}
    assert "“a high sound”" in lines[0]
    assert [line.split()[0] for line in lines[4:]] == ["added", "removed"]
    assert lines[4].split()[2:] == ["a", "high", "sound"]
    assert alone["added"]["phrases"] == alone["phrases"]
    equal = run_json("diff", reference, reference, *paths[2:])
    assert equal["phrases"] == equal["removed"]["phrases"] == []
    assert equal["description"] == "Nothing changed: the two are equal."
