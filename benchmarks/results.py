"""Where benchmarks write what they measured, with the code and the machine that made it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "results"
PROCESSORS = FOLDER / "processors"


def write(name: str, figures: dict[str, Any], *, of_processor: bool = False) -> None:
    """Write the figures of a benchmark to ``docs/results/NAME.json`` and to standard output.

    With `of_processor`, figures of another processor give way to ``docs/results/processors``.
    """
    result = {
        "command": " ".join(["python", *map(name_place, sys.argv)]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "hardware": hardware(),
        **figures,
    }
    text = json.dumps(result, indent=2) + "\n"
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.json"
    if of_processor:
        _make_way(file)
    file.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _make_way(file: Path) -> None:
    """Move the figures of another processor away, and drop what is kept of this one."""
    (_kept(hardware()) / file.name).unlink(missing_ok=True)
    if file.exists():
        kept = _kept(json.loads(file.read_text(encoding="utf-8"))["hardware"])
        if kept != _kept(hardware()):
            kept.mkdir(parents=True, exist_ok=True)
            file.rename(kept / file.name)


def _kept(hardware: dict[str, Any]) -> Path:
    """Return the folder of a processor: its name and the last of its instructions."""
    words = f"{hardware['processor']} {hardware['instructions'].rpartition(' ')[2]}"
    return PROCESSORS / "-".join(re.findall(r"[a-z0-9]+", words.lower()))


def page_folder() -> Path:
    """Return where a page goes: the folder the command names, else ``docs/results``."""
    return Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER


def name_place(word: str) -> str:
    """Return a word of the command; of a place on this machine only its name."""
    return Path(word).name if Path(word).is_absolute() else word


def commit() -> str:
    """Name the commit, with ``+`` where tracked files differ from it."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def hardware() -> dict[str, str | int]:
    """Describe the machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    flags = fields.get("flags", "").split()
    return {
        "processor": fields.get("model name", platform.machine()),
        "cores": os.cpu_count() or 0,
        "instructions": " ".join(flag for flag in wanted if flag in flags),
        "python": platform.python_version(),
    }
