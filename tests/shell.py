"""Runs the command line inside the test, and writes folders of sounds for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import synth
from click.testing import CliRunner, Result

from service.bundle.files import load_bundle
from service.cli import main
from service.clips import ClipRecord
from service.inference.embedding_space import make_space
from service.inference.towers import Towers
from service.library.library import Library


def run(*arguments: object, code: int = 0) -> Result:
    """Run `minuend` and expect an exit code."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def run_json(*arguments: object, code: int = 0) -> Any:
    """Run `minuend ... --json` and return the parsed output."""
    return json.loads(run(*arguments, "--json", code=code).stdout)


def write_tones(folder: Path, n_files: int, *, duration_s: float = 0.3) -> list[Path]:
    """Write tones of increasing frequency."""
    return [
        synth.write(folder / f"{n:03}.wav", synth.tone(100 + 23 * n, duration_s))
        for n in range(n_files)
    ]


@contextmanager
def opened(library: Path, bundle: Path) -> Iterator[Library]:
    """Open a library like another process."""
    loaded = load_bundle(bundle)
    towers = Towers.open(loaded, device="cpu", threads=1)
    space = make_space(loaded, towers.audio if towers else None)
    found = Library.open(library, space=space, create=False)
    try:
        yield found
    finally:
        found.close()


def records(library: Path, bundle: Path) -> list[ClipRecord]:
    """Return all clips of a library in order."""
    with opened(library, bundle) as found:
        return found.page(limit=10_000)[0]
