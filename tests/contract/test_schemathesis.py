"""The real service does what its schema says, for requests that Schemathesis makes from it.

All checks and phases: every value at its bounds, random requests, and sequences of requests.
`make schemathesis` runs the same for ten minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
import server_process
from shell import run_json

TESTS = Path(__file__).parents[1]
SECONDS = int(os.environ.get("SCHEMATHESIS_S", "30"))
"""Time of one run [s]."""
LINE = 400
"""Characters of a line of the report that are shown; lines of curl hold whole files."""


def new_key(keys: Path) -> str:
    return str(run_json("key", "add", "tests", "--scope", "write", "--keys", keys)["key"])


@pytest.mark.e2e
@pytest.mark.timeout(SECONDS + 90)
@pytest.mark.parametrize("has_keys", [False, True])
def test_the_service_follows_its_schema(
    tiny_bundle_path: Path, tmp_path: Path, has_keys: bool
) -> None:
    settings, header = {}, []
    if has_keys:
        settings = {"keys": tmp_path / "keys"}
        header = ["--header", f"Authorization: Bearer {new_key(tmp_path / 'keys')}"]
    config = ["--config-file", TESTS / "schemathesis.toml"]
    with server_process.running(tiny_bundle_path, tmp_path / "library", **settings) as server:
        # The server waits for a reader of its log when the pipe is full.
        Thread(target=lambda log: [None for _ in log], args=[server.process.stderr]).start()
        url = f"http://127.0.0.1:{server.port}/openapi.json"
        ran = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), *config),
                *("run", url, "--max-time", str(SECONDS), *header),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            cwd=tmp_path,  # it keeps files there
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert server.stop() == 0

    report = "\n".join(line[:LINE] for line in ran.stdout.splitlines())
    assert ran.returncode == 0, report + ran.stderr
    assert "Tested: 18" in report
