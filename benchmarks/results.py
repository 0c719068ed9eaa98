"""Results files of the benchmarks: figures with the commit and the machine of the run."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "results"
PROCESSORS = FOLDER / "processors"
BUNDLE = ROOT / "models" / "default"
DEMO = ROOT / "service" / "cli" / "demo"


def write(name: str, figures: dict[str, Any], *, of_processor: bool = False) -> None:
    """Write the figures of a benchmark to ``docs/results/NAME.json`` and to standard output.

    With `of_processor`, figures of another processor are moved to ``docs/results/processors``.
    """
    result = {
        "command": " ".join(["python", *map(shorten, sys.argv)]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "hardware": hardware(),
        **figures,
    }
    text = json.dumps(result, indent=2) + "\n"
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.json"
    if of_processor:
        _archive(file)
    file.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _archive(file: Path) -> None:
    """Move the figures of another processor to its folder, and delete archived ones of this one."""
    (_archive_folder(hardware()) / file.name).unlink(missing_ok=True)
    if file.exists():
        folder = _archive_folder(json.loads(file.read_text(encoding="utf-8"))["hardware"])
        if folder != _archive_folder(hardware()):
            folder.mkdir(parents=True, exist_ok=True)
            file.rename(folder / file.name)


def _archive_folder(hardware: dict[str, Any]) -> Path:
    """Return the folder of a processor: its name and the last of its instruction sets."""
    words = f"{hardware['processor']} {hardware['instructions'].rpartition(' ')[2]}"
    return PROCESSORS / "-".join(re.findall(r"[a-z0-9]+", words.lower()))


def page_folder() -> Path:
    """Return the folder of a page: the argument of the command, or ``docs/results``."""
    return _path_argument(FOLDER)


def bundle_path() -> Path:
    """Return the folder of the bundle: the argument of the command, or the default bundle."""
    return _path_argument(BUNDLE)


def _path_argument(default: Path) -> Path:
    return Path(sys.argv[1]) if len(sys.argv) > 1 else default


def spread(values: Iterable[float], digits: int = 2) -> dict[str, float]:
    """Return the least, the median and the greatest value."""
    ordered = sorted(values)
    figures = {"min": ordered[0], "median": statistics.median(ordered), "max": ordered[-1]}
    return {name: round(value, digits) for name, value in figures.items()}


def processor_times(
    runs: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Run the candidates alternately, after two rounds to warm up.

    Returns:
        The processor time of every run, by candidate [s].
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 2):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if round_ >= 2:
                times[name].append(time.process_time() - start)
    return times


def demo_kinds() -> dict[str, str]:
    """Read the kind of each clip of the demo, by its file."""
    with (DEMO / "clips.csv").open(newline="", encoding="utf-8") as lines:
        return {row["file"]: row["kind"] for row in csv.DictReader(lines)}


def shorten(word: str) -> str:
    """Return a word of the command, and only the name of an absolute path."""
    return Path(word).name if Path(word).is_absolute() else word


def commit() -> str:
    """Return the commit, with ``+`` if tracked files differ from it."""
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
    instructions = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    flags = fields.get("flags", "").split()
    return {
        "processor": fields.get("model name", platform.machine()),
        "cores": os.cpu_count() or 0,
        "instructions": " ".join(flag for flag in instructions if flag in flags),
        "python": platform.python_version(),
    }
