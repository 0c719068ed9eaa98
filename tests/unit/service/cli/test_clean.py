from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from shell import run, run_json
from tiny_library import execute, make_clip, open_library

from service.cli import main


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library with a sound in its quarantine."""
    library = open_library(tmp_path)
    library.writer.put(make_clip("a", 1))
    library.close()
    execute(tmp_path, "DELETE FROM clips")
    open_library(tmp_path).close()
    return tmp_path


def n_files(library: Path) -> int:
    return len(list((library / "quarantine").rglob("*.wav")))


def test_it_lists_and_asks_before_it_deletes(library: Path) -> None:
    arguments = ["clean", "--library", str(library)]
    refused = CliRunner().invoke(main, arguments, input="n\n")
    assert refused.exit_code == 1
    assert "1 files" in refused.output
    assert n_files(library) == 1
    agreed = CliRunner().invoke(main, arguments, input="y\n")
    assert agreed.exit_code == 0
    assert n_files(library) == 0
    assert "nothing to delete" in run(*arguments).stdout


def test_without_an_answer_nothing_is_deleted(library: Path) -> None:
    run("clean", "--library", library, code=1)
    assert n_files(library) == 1


def test_json_lists_and_deletes_only_with_yes(library: Path) -> None:
    listed = run_json("clean", "--library", library)
    assert (listed["files"], listed["deleted"], n_files(library)) == (1, False, 1)
    assert Path(listed["folders"][0]["path"]).parent == library / "quarantine"
    assert run_json("clean", "--library", library, "--yes")["deleted"]
    assert n_files(library) == 0


def test_newer_files_stay(library: Path) -> None:
    run("clean", "--library", library, "--yes", "--older-than", 1)
    assert n_files(library) == 1


def test_a_folder_without_a_library_is_not_cleaned(tmp_path: Path) -> None:
    assert "no library" in run("clean", "--library", tmp_path, "--yes", code=1).stderr
