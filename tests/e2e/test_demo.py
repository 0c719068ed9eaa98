"""`minuend demo` with a tiny bundle."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "service.cli", "demo", "--device", "cpu"]


def environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch)}


def demo(scratch: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with its temporary files in a folder."""
    return subprocess.run(
        [*COMMAND, *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        cwd=scratch,
        env=environment(scratch),
    )


def test_the_answers_of_the_three_calls_are_printed(tiny_bundle_path: Path, tmp_path: Path) -> None:
    finished = demo(tmp_path, "--once", "--bundle", tiny_bundle_path)

    assert (finished.returncode, finished.stderr) == (0, "")
    output = finished.stdout
    assert "8 numbers: " in output
    assert re.search(r"\d\d clips added", output)
    assert "of the mixture minus its background" in output
    for path in ("embed", "difference", "search"):
        assert re.search(rf"curl -s -F .*:\d+/{path}\n   answered in \d+ ms", output)
    hits = re.findall(r"^   [1-5]  \d\.\d{3}  \S.* \(.+\)", output, flags=re.MULTILINE)
    assert len(hits) == 15
    assert list(tmp_path.glob("minuend-*")) == [], "temporary files remain"


def test_the_json_is_one_object(tiny_bundle_path: Path, tmp_path: Path) -> None:
    finished = demo(tmp_path, "--once", "--json", "--bundle", tiny_bundle_path)

    result = json.loads(finished.stdout)
    calls = [answered["call"] for answered in result["answers"]]
    assert calls == ["/embed", "/search", "/difference", "/search", "/search"]
    assert all(answered["answer"]["bundle"]["id"] == "tiny-0" for answered in result["answers"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_service_runs_until_it_is_stopped(
    number: signal.Signals, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    command = [*COMMAND, "--bundle", str(tiny_bundle_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "Ctrl-C stops it.\n")
        (url,) = {found[0] for line in lines if (found := re.findall(r"http://[\d.:]+\d", line))}
        with urllib.request.urlopen(f"{url}/readyz") as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert "Stopping" in process.stdout.read()

    assert process.returncode == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/readyz")
    assert list(tmp_path.glob("minuend-*")) == []


def test_a_used_port_is_an_error(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        finished = demo(tmp_path, "--once", "--bundle", tiny_bundle_path, "--port", port)

    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert f"port {port}" in line


def test_a_missing_bundle_is_an_error(tmp_path: Path) -> None:
    finished = demo(tmp_path)

    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert "there is no bundle at models/default" in line
