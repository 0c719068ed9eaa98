"""Results files: figures with the command, code and machine that produced them."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.concurrency.durable import atomic_write
from training.errors import DatasetError
from training.export.provenance import git_commit

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def header() -> dict[str, Any]:
    """Describe how figures are produced now: command, date, commit and hardware."""
    return {
        "command": command(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": git_commit(),
        "hardware": hardware(),
    }


def command(arguments: list[str]) -> str:
    """Format a command as it is typed, without the folders of this machine.

    An absolute path becomes relative to the working directory if it is below it; otherwise only
    its last part remains.
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


def read_result(path: Path) -> dict[str, Any]:
    """Read a file of figures.

    Raises:
        DatasetError: The file is no file of results.
    """
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is no file of results: {error}") from error
    if not isinstance(figures, dict):
        raise DatasetError(f"{path} is no file of results")
    return figures


def put_row(path: Path, key: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Add a row with its own header to a file of rows; a row of the same key is replaced.

    Args:
        path: Path of the file; it is made if it does not exist.
        key: Identity of the row.
        figures: The measurements.

    Raises:
        DatasetError: The file exists and is no file of rows.
    """
    others = [row for row in read_rows(path) if row["key"] != dict(key)]
    row = {"key": dict(key)} | header() | dict(figures)
    _write(path, {"rows": [*others, row]})


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file; none if it does not exist.

    Raises:
        DatasetError: The file is no file of rows.
    """
    if not path.is_file():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is no file of results: {error}") from error
    return rows


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def _shorten(word: str) -> str:
    option, separator, value = word.partition("=")
    if separator and option.startswith("-"):
        return f"{option}={_shorten(value)}"
    path = Path(word)
    if not path.is_absolute():
        return word
    working = Path.cwd()
    return path.relative_to(working).as_posix() if path.is_relative_to(working) else path.name
