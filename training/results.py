"""Results files: figures with the code, the machine and the command that made them."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.export.provenance import git_commit

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def header() -> dict[str, Any]:
    """Say by which command, when, by which code and on which machine figures are made."""
    return {
        "command": command(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": git_commit(),
        "hardware": hardware(),
    }


def command(arguments: list[str]) -> str:
    """Write a command as it would be typed, without the folders of this machine.

    Of an absolute path the last part is kept, or what leads there from the working directory
    where it lies below that.
    """
    name, *rest = arguments
    program = Path(name).name
    if program in {"__main__.py", "-m"}:
        program = "minuend-train"
    return " ".join([program, *(_shorten(word) for word in rest)])


def hardware() -> dict[str, str | int]:
    """Describe the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = fields.get("flags", "").split()
    return {
        "processor": fields.get("model name", platform.machine()),
        "cores": os.cpu_count() or 0,
        "instructions": " ".join(flag for flag in INSTRUCTIONS if flag in flags),
        "python": platform.python_version(),
    }


def write_result(path: Path, figures: Mapping[str, Any]) -> None:
    """Write a file of figures with its header."""
    _write(path, header() | dict(figures))


def put_row(path: Path, key: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Put a row with a header of its own into a file of rows, in the place of one of the same key.

    Args:
        path: Of the file, which is made where there is none.
        key: What tells this row from others.
        figures: What was measured.

    Raises:
        DatasetError: The file is there and no file of rows.
    """
    kept = [row for row in read_rows(path) if row["key"] != dict(key)]
    row = {"key": dict(key)} | header() | dict(figures)
    _write(path, {"rows": [*kept, row]})


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file; none where there is no file.

    Raises:
        DatasetError: It is no file of rows.
    """
    if not path.is_file():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is no file of results: {error}") from error
    return rows


def find_row(path: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the row of a key, or None."""
    return next((row for row in read_rows(path) if row["key"] == dict(key)), None)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _shorten(word: str) -> str:
    option, separator, value = word.partition("=")
    if separator and option.startswith("-"):
        return f"{option}={_shorten(value)}"
    path = Path(word)
    if not path.is_absolute():
        return word
    working = Path.cwd()
    return path.relative_to(working).as_posix() if path.is_relative_to(working) else path.name
