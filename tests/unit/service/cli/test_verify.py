from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from shell import opened, run, run_json, write_tones
from tiny_library import execute

from service.library.verify import open_verifier


@pytest.fixture(scope="module")
def made(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of three stored sounds."""
    root = tmp_path_factory.mktemp("verify")
    write_tones(root / "sounds", 3)
    bundle = ("--bundle", tiny_bundle_path)
    run("index", root / "sounds", "--copy", "--library", root / "library", *bundle)
    return root / "library"


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "library"))


def flip(library: Path) -> str:
    """Flip a bit of one sound, and return its path in the library."""
    file = min((library / "audio").glob("*/*"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return file.relative_to(library).as_posix()


def test_an_intact_library_is_reported(library: Path) -> None:
    output = run("verify", "--library", library).stdout
    assert output == (
        "checked 3 records, 3 embeddings of clips, 0 of windows and 3 audio files:"
        " nothing damaged\n"
    )
    assert not (library / "verify.json").exists()


def test_damage_is_listed_and_is_exit_code_1(library: Path) -> None:
    path = flip(library)
    execute(library, "UPDATE vectors SET embedding = x'00' WHERE seq = 2")
    output = run("verify", "--library", library, code=1).stdout
    assert f"damaged audio  {path}: its sha256 is " in output
    assert "damaged vector  " in output
    assert "3 audio files: 2 damaged" in output

    body = run_json("verify", "--library", library, code=1)
    assert body["damaged"] == {
        "record": 0,
        "vector": 1,
        "window": 0,
        "audio": 1,
        "structure": 0,
        "snapshot": 0,
    }
    assert [fault["part"] for fault in body["faults"]] == ["vector", "audio"]
    assert (body["share"], body["orphans"], body["checked"]["audio"]) == (1.0, 0, 3)


def test_a_stopped_run_continues_and_restart_begins_again(library: Path) -> None:
    for options, message in (((), "continuing the check of"), (("--restart",), "")):
        with closing(open_verifier(library)) as verifier:
            next(verifier.run())
            verifier.keep()
        result = run("verify", "--library", library, *options)
        assert result.stderr.startswith(message)
        assert ("continuing" in result.stderr) == bool(message)
        assert "checked 3 records" in result.stdout


def test_a_sample_is_a_share(library: Path) -> None:
    assert run_json("verify", "--library", library, "--sample", "0.5")["share"] == 0.5
    for share in ("0", "1.5"):
        run("verify", "--library", library, "--sample", share, code=2)


@pytest.mark.parametrize("content", [b"text, no database\n" * 200, b"SQLite format 3\0" * 9])
def test_a_catalogue_that_is_none_is_one_line(library: Path, content: bytes) -> None:
    (library / "catalog.sqlite").write_bytes(content)
    stderr = run("verify", "--library", library, code=1).stderr
    assert stderr.count("\n") == 1
    assert "is damaged" in stderr
    assert "restore" in stderr


def test_a_damaged_embedding_is_computed_again(library: Path, tiny_bundle_path: Path) -> None:
    execute(library, "UPDATE vectors SET embedding = x'00' WHERE seq = 2")
    run("verify", "--library", library, code=1)
    arguments = ("index", "--reembed", "--library", library, "--bundle", tiny_bundle_path)
    assert "1 clips embedded, 2 were already" in run(*arguments).stdout
    run("verify", "--library", library)
    with opened(library, tiny_bundle_path) as found:
        assert found.index.n_vectors() == 3
