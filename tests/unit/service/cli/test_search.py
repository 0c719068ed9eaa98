from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import synth
import tiny_bundle
import tiny_understanding
from shell import run, run_json, write_tones

from service.bundle.files import hash_file


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    return write_tones(tmp_path / "sounds", 6)


@pytest.fixture
def paths(tmp_path: Path, tiny_bundle_path: Path, sounds: list[Path]) -> list[Any]:
    paths = ["--library", tmp_path / "library", "--bundle", tiny_bundle_path]
    table = tmp_path / "notes.csv"
    table.write_text("file,take\n001.wav,1\n002.wav,2\n003.wav,3\n", encoding="utf-8")
    run("index", sounds[0].parent, "--metadata", table, *paths)
    return paths


def names(hits: list[dict[str, Any]]) -> list[str]:
    return [hit["metadata"]["name"] for hit in hits]


def clip_id(file: Path) -> str:
    return hash_file(file).sha256[:32]


def test_a_file_finds_itself_first(sounds: list[Path], paths: list[Any]) -> None:
    hits = run_json("search", "--audio", sounds[3], "-k", 4, *paths)["hits"]

    assert len(hits) == 4
    assert hits[0]["metadata"]["name"] == "003.wav"
    assert hits[0]["score"] == pytest.approx(1, abs=1e-3)
    assert hits[0]["contributions"] == {"audio": hits[0]["score"]}
    assert hits[0]["path"] == str(sounds[3])
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


def test_a_reference_is_subtracted(sounds: list[Path], paths: list[Any], tmp_path: Path) -> None:
    mixture = synth.write(
        tmp_path / "mixture.wav", synth.tone(100, 0.3) + synth.tone(215, 0.3, amplitude=0.2)
    )
    query = ["search", "--audio", mixture, *paths]

    by_file = run_json(*query, "--reference", sounds[0])["hits"]
    by_id = run_json(*query, "--reference-id", clip_id(sounds[0]))["hits"]
    weightless = run_json(*query, "--reference", sounds[0], "--reference-weight", 0)["hits"]

    assert set(by_file[0]["contributions"]) == {"difference"}
    assert [name for name in names(by_file) if name != "000.wav"] == names(by_id)
    assert names(weightless) == names(run_json(*query)["hits"])


def test_a_filter_chooses_among_the_clips(sounds: list[Path], paths: list[Any]) -> None:
    arguments = ["search", "--audio", sounds[0], "--filter", '{"take": {"gte": 2}}', *paths]

    assert set(names(run_json(*arguments)["hits"])) == {"002.wav", "003.wav"}


def test_each_hit_is_a_line(
    sounds: list[Path], paths: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sounds[0].parent.parent)

    first, *others = run("search", "--audio", sounds[1], *paths).stdout.splitlines()

    columns = ["1", "1.000", "0.3", "s", clip_id(sounds[1]), "sounds/001.wav", "take=1"]
    assert first.split() == columns
    assert len(others) == 5


def test_no_hits_are_reported(sounds: list[Path], paths: list[Any]) -> None:
    result = run("search", "--audio", sounds[0], "--filter", '{"take": 9}', *paths)

    assert result.stdout == "no hits\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--reference", "SOUND"],
        ["--audio", "SOUND", "--clip-id", "x"],
        ["--audio", "SOUND", "--reference", "SOUND", "--reference-id", "x"],
        ["--audio", "SOUND", "--reference-weight", "0.5"],
        ["--audio", "SOUND", "--reference", "SOUND", "--reference-weight", "2"],
        ["--audio", "SOUND", "-k", "0"],
        ["--audio", "SOUND", "-k", "1001"],
        ["--audio", "missing.wav"],
    ],
)
def test_an_incomplete_query_is_a_usage_error(
    arguments: list[str], sounds: list[Path], paths: list[Any]
) -> None:
    given = [sounds[0] if argument == "SOUND" else argument for argument in arguments]

    run("search", *given, *paths, code=2)


def test_missing_clips_files_and_libraries_are_errors(
    sounds: list[Path], paths: list[Any], tmp_path: Path
) -> None:
    words = tmp_path / "words.wav"
    words.write_bytes(b"words, not waves")

    def error(*arguments: object) -> str:
        return run("search", *arguments, code=1).stderr

    assert "no clip 'x'" in error("--clip-id", "x", *paths)
    assert "not JSON" in error("--audio", sounds[0], "--filter", "{", *paths)
    assert "audio" in error("--audio", words, *paths)
    assert "no library" in error("--audio", sounds[0], "--library", tmp_path / "none", *paths[2:])


@pytest.fixture(scope="module")
def word_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a file for each word of the towers."""
    folder = tmp_path_factory.mktemp("words")
    for word, samples in tiny_bundle.SOUNDS.items():
        synth.write(folder / f"{word}.wav", samples)
    return folder


@pytest.fixture(scope="module")
def words(word_files: Path, towers_bundle_path: Path) -> list[Any]:
    """Options for a library of these files, of a bundle with towers."""
    paths = ["--library", word_files / "library", "--bundle", towers_bundle_path]
    run("index", word_files, *paths)
    return paths


def test_a_text_finds_the_sound_it_describes(words: list[Any]) -> None:
    for word in tiny_bundle.SOUNDS:
        body = run_json("search", "--modifier", word, *words)

        assert names(body["hits"])[0] == f"{word}.wav"
        assert body["notices"] == []


def test_a_modifier_changes_the_hits_of_a_sound(words: list[Any], word_files: Path) -> None:
    query = ["search", "--audio", word_files / "low.wav", *words]

    hits = run_json(*query, "--modifier", "high", "--strength", 4)["hits"]
    weightless = run_json(*query, "--modifier", "high", "--strength", 0)
    plain = run_json(*query)

    assert names(hits)[0] == "high.wav"
    assert set(hits[0]["contributions"]) == {"audio", "modifier"}
    assert weightless == plain


def test_contributions_and_notices_are_printed(words: list[Any], word_files: Path) -> None:
    query = ["search", "--audio", word_files / "low.wav", *words]

    result = run(*query, "--modifier", "high " * 9)

    assert re.match(r"  1 +0\.\d{3}  \(audio +\d\.\d{3}, modifier +\d\.\d{3}\)", result.stdout)
    assert "longer than the 8 tokens" in result.stderr


def test_what_was_understood_is_printed(word_files: Path, tmp_path: Path) -> None:
    bundle = tiny_understanding.add(tiny_bundle.write(tmp_path / "bundle", towers=0))
    paths = ["--bundle", bundle, "--library", tmp_path / "library"]
    run("index", word_files, *paths)
    query = ["search", "--modifier", "without high qwerty", *paths]

    result = run(*query)
    body = run_json(*query)

    assert "understood: remove 'high'" in result.stderr
    assert [(each["change"], each["sound"]) for each in body["understood"]] == [("remove", "high")]
    assert names(body["hits"])[-1] == "high.wav"


def test_a_modifier_needs_towers(sounds: list[Path], paths: list[Any]) -> None:
    result = run("search", "--audio", sounds[0], "--modifier", "high", *paths, code=1)

    assert "no text tower" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--strength", "1"],
        ["--audio", "SOUND", "--strength", "1"],
        ["--modifier", "low", "--strength", "-1"],
        ["--modifier", "low", "--strength", "4.5"],
        ["--modifier", "low", "--reference-id", "x"],
    ],
)
def test_an_invalid_use_of_text_is_a_usage_error(
    arguments: list[str], sounds: list[Path], words: list[Any]
) -> None:
    given = [sounds[0] if argument == "SOUND" else argument for argument in arguments]

    run("search", *given, *words, code=2)


def test_a_text_without_words_finds_nothing(words: list[Any]) -> None:
    assert "a search needs" in run("search", "--modifier", " ", *words, code=1).stderr


def test_the_default_of_k_is_not_above_the_setting(
    sounds: list[Path], paths: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUEND_MAX_K", "2")

    assert len(run_json("search", "--audio", sounds[0], *paths)["hits"]) == 2
    assert "1 to 2" in run("search", "--audio", sounds[0], "-k", 3, *paths, code=1).stderr


def test_a_hit_of_a_long_recording_has_the_times_of_its_best_window(
    paths: list[Any], tmp_path: Path
) -> None:
    hour = synth.noise(0, 185.0, amplitude=0.02)
    hour[130 * 16_000 : 133 * 16_000] += synth.tone(900, 3.0)
    event = synth.write(tmp_path / "event.wav", synth.tone(900, 3.0))
    run("index", synth.write(tmp_path / "field" / "hour.flac", hour).parent, *paths)
    query = ["search", "--audio", event, "--filter", '{"name": "hour.flac"}', *paths]

    (hit,) = run_json(*query)["hits"]
    every = run_json(*query, "--every-window", "-k", 50)["hits"]

    assert (hit["start_s"], hit["end_s"]) in {(125.0, 135.0), (130.0, 140.0)}
    assert len(every) == 36
    assert every[0] == hit
    line = run(*query).stdout
    assert re.search(r" (2:05-2:15|2:10-2:20)  ", line)
