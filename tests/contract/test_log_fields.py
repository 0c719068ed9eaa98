"""The table of log fields in docs/serving.md has the fields that a running service logs."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import synth
from server_process import STOP_S, start

pytestmark = pytest.mark.e2e

SERVING = Path(__file__).parents[2] / "docs" / "serving.md"
OF_FAULTS = {"exc_info"}
"""Fields of unexpected errors, which this test does not cause."""


def documented() -> set[str]:
    table = SERVING.read_text("utf-8").split("## Log fields")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def send_requests(base_url: str) -> None:
    """Send requests that have all phases between them."""
    tone, noise = synth.encode(synth.tone(440)), synth.encode(synth.noise(0))
    with httpx.Client(base_url=base_url, timeout=60, trust_env=False) as client:
        client.put("/clips/a", content=tone).raise_for_status()
        form = {"modifier": "low"}
        client.post("/search", files={"audio": noise}, data=form).raise_for_status()
        files = {"mixture": noise, "reference": tone}
        client.post("/difference", files=files).raise_for_status()
        client.post("/pictures", content=tone).raise_for_status()


def log_lines(bundle: Path, library: Path) -> Iterator[dict[str, object]]:
    """Start a service, send requests, stop it, and yield its log."""
    process = start(bundle=bundle, library=library)
    assert process.stderr is not None
    try:
        for line in map(json.loads, process.stderr):
            yield line
            if "port" in line:
                send_requests(f"http://127.0.0.1:{line['port']}")
                process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_every_field_is_documented_and_no_other(towers_bundle_path: Path, tmp_path: Path) -> None:
    logged = {name for line in log_lines(towers_bundle_path, tmp_path / "library") for name in line}

    assert documented() == logged | OF_FAULTS
