from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shell import records, run, run_json, write_tones

N_FILES = 3


@pytest.fixture
def paths(tmp_path: Path, tiny_bundle_path: Path) -> list[Any]:
    """Options of a library that has lost its catalogue."""
    write_tones(tmp_path / "sounds", N_FILES)
    paths = ["--library", tmp_path / "library", "--bundle", tiny_bundle_path]
    run("index", tmp_path / "sounds", "--copy", *paths)
    (tmp_path / "library" / "catalog.sqlite").unlink()
    return paths


def test_a_lost_catalogue_is_made_again(
    tmp_path: Path, tiny_bundle_path: Path, paths: list[Any]
) -> None:
    for command in (["index", tmp_path / "sounds"], ["search", "--modifier", "low"]):
        message = run(*command, *paths, code=1).stderr
        assert "minuend adopt" in message
        assert message.count("\n") == 1
    report = run_json("adopt", *paths)
    assert report == {"adopted": N_FILES, "already": 0, "clips": N_FILES, "unreadable": []}
    assert len(records(tmp_path / "library", tiny_bundle_path)) == N_FILES
    assert "0 sounds adopted, 0 already there" in run("adopt", *paths).stdout


def test_a_damaged_file_is_named_and_its_exit_code_is_3(tmp_path: Path, paths: list[Any]) -> None:
    damaged = next((tmp_path / "library" / "audio").rglob("*.wav"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = run("adopt", *paths, code=3)
    assert "2 sounds adopted" in result.stdout
    assert damaged.name in result.stderr
    assert run_json("adopt", *paths, code=3)["unreadable"][0]["code"] == "file_changed"


def test_there_is_nothing_to_adopt_in_an_empty_folder(
    tmp_path: Path, tiny_bundle_path: Path
) -> None:
    options = ["--library", tmp_path / "new", "--bundle", tiny_bundle_path]
    assert "nothing to adopt" in run("adopt", *options, code=1).stderr
    assert not (tmp_path / "new").exists()
