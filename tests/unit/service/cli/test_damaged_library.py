"""Commands that meet a damaged catalogue say so in one line, and no sound is lost."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from shell import write_tones
from tiny_library import make_clip, open_library, stored_files

from service.cli import main
from service.errors import LibraryError
from service.library.library import Library
from service.library.upload import ID_DIGITS
from service.server import serve
from service.settings import Settings

N_FLIPS = 30
N_CLIPS = 12


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    write_tones(folder / "sounds", 3)
    paths = ["--library", str(folder / "library"), "--bundle", str(tiny_bundle_path)]
    result = CliRunner().invoke(main, ["index", str(folder / "sounds"), "--copy", *paths])
    assert result.exit_code == 0
    return folder / "library"


def no_database(content: bytes) -> bytes:
    return b"x" * len(content)


def cut_short(content: bytes) -> bytes:
    return content[:6000]


def other_table_names(content: bytes) -> bytes:
    return content.replace(b"TABLE clips", b"TABLE clipr")


def zeroed_pages(content: bytes) -> bytes:
    return content[:4096] + bytes(len(content) - 4096)


DAMAGE = [no_database, cut_short, other_table_names, zeroed_pages]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "command",
    [
        ["index", "SOUNDS"],
        ["index", "--reembed"],
        ["search", "--modifier", "low"],
        ["backup", "FILE"],
        ["adopt"],
    ],
)
def test_a_command_says_in_one_line_that_the_catalogue_is_damaged(
    tmp_path: Path,
    indexed: Path,
    tiny_bundle_path: Path,
    command: list[str],
    damage: Callable[[bytes], bytes],
) -> None:
    library = tmp_path / "library"
    shutil.copytree(indexed, library)
    content = damage((library / "catalog.sqlite").read_bytes())
    (library / "catalog.sqlite").write_bytes(content)
    names = {"SOUNDS": str(indexed.parent / "sounds"), "FILE": str(tmp_path / "backup.tar")}
    arguments = [names.get(word, word) for word in command] + ["--library", str(library)]
    if command[0] != "backup":
        arguments += ["--bundle", str(tiny_bundle_path)]

    result = CliRunner().invoke(main, arguments)

    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "catalog.sqlite" in result.stderr or "catalogue" in result.stderr
    assert stored_files(library) == stored_files(indexed)


def test_damage_that_is_met_after_the_opening_is_one_line_too(
    tmp_path: Path, indexed: Path, tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise sqlite3.OperationalError("no such column: embedding")

    monkeypatch.setattr(Library, "search", fail)
    paths = ["--library", str(indexed), "--bundle", str(tiny_bundle_path)]
    clip_id = Path(min(stored_files(indexed))).name[:ID_DIGITS]
    result = CliRunner().invoke(main, ["search", "--clip-id", clip_id, *paths])
    assert isinstance(result.exception, SystemExit)
    assert result.stderr == (
        "Error: the catalogue of the library cannot be used: no such column: embedding\n"
    )


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_service_says_in_one_line_that_the_catalogue_is_damaged(
    tmp_path: Path,
    indexed: Path,
    tiny_bundle_path: Path,
    damage: Callable[[bytes], bytes],
    capsys: pytest.CaptureFixture[str],
    restored_logging: None,
) -> None:
    library = tmp_path / "library"
    shutil.copytree(indexed, library)
    content = damage((library / "catalog.sqlite").read_bytes())
    (library / "catalog.sqlite").write_bytes(content)

    assert serve(Settings(library=library, bundle=tiny_bundle_path, port=0)) == 1

    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert lines[0].startswith("minuend cannot start: ")
    assert "catalog.sqlite" in lines[0]


def test_flipped_bits_of_the_catalogue_lose_no_sound(tmp_path: Path) -> None:
    """Half of them are in the first page, which has the schema."""
    library = open_library(tmp_path / "whole")
    library.writer.put_many([make_clip(f"c{n}", n, n_windows=n % 3) for n in range(N_CLIPS)])
    library.close()
    content = (tmp_path / "whole" / "catalog.sqlite").read_bytes()
    names = {Path(name).name for name in stored_files(tmp_path / "whole")}
    rng = np.random.default_rng(0)
    refusals: list[str] = []
    for n in range(N_FLIPS):
        path = tmp_path / str(n)
        shutil.copytree(tmp_path / "whole", path)
        flipped = bytearray(content)
        flipped[int(rng.integers(4096 if n % 2 else len(content)))] ^= 1 << int(rng.integers(8))
        (path / "catalog.sqlite").write_bytes(flipped)
        try:
            open_library(path).close()
        except LibraryError as error:
            refusals.append(str(error))
        assert {file.name for file in path.rglob("*.wav")} == names, f"flip {n}"
        shutil.rmtree(path)
    assert 0 < len(refusals) < N_FLIPS
    assert "\n" not in "".join(refusals)
