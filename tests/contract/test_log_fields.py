"""The table of log fields in docs/serving.md lists the fields that requests log, and no other."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import synth
from service_client import serving

ROOT = Path(__file__).parents[2]
FORMATTER_FIELDS = {"timestamp", "level", "logger", "message", "request_id", "exc_info"}
LISTENING_FIELDS = {"host", "port"}
"""Logged by the process when it listens."""
DECODER_FIELDS = {"seccomp", "cause", "decoder_messages", "decoder_messages_total"}
"""Logged about decoders in child processes and about damaged files."""


def documented() -> set[str]:
    table = (ROOT / "docs" / "serving.md").read_text("utf-8").split("## Log fields")[1]
    rows = re.findall(r"^\| (`.*?) \|", table.split("\n## ")[0], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_fields_of_requests_are_documented(
    towers_bundle_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    low, high = synth.encode(synth.tone(300)), synth.encode(synth.tone(2700))
    caplog.set_level("INFO")
    with serving(towers_bundle_path, tmp_path / "library") as client:
        client.put("/clips/low", content=low)
        client.post("/difference", files={"mixture": high, "reference": low})
        client.post("/search", files={"audio": low}, data={"modifier": "high"})
        client.get("/clips/low/peaks")

    standard = set(vars(logging.makeLogRecord({})))
    logged = {
        name
        for record in caplog.records
        if record.name.startswith("service.")
        for name in set(vars(record)) - standard
    }
    assert logged - FORMATTER_FIELDS == (
        documented() - FORMATTER_FIELDS - LISTENING_FIELDS - DECODER_FIELDS
    )
    assert documented() >= FORMATTER_FIELDS | LISTENING_FIELDS | DECODER_FIELDS
