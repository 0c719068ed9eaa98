"""Results files of the benchmarks: figures with the commit and the machine of the run."""

from __future__ import annotations

import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.results import hardware

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


def read_demo() -> list[dict[str, str]]:
    """Read the table of the clips of the demo."""
    with (DEMO / "clips.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Return the minimum, the median and the maximum."""
    figures = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()}


def time_alternately(
    work: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Call each function in turn, after a warm-up; return the processor times of each [s]."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for round_ in range(rounds + 2):
        for name, function in work.items():
            start = time.process_time()
            function()
            if round_ >= 2:
                times[name].append(time.process_time() - start)
    return times


def run_script(script: str, options: Any, *, timeout_s: float, **variables: str) -> dict[str, Any]:
    """Run a script in its own process, with options as JSON; return the figures that it prints."""
    done = subprocess.run(
        [sys.executable, script, json.dumps(options)],
        check=True,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, **variables},
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
