"""Every command of deploy/README.md, in order, in a fresh clone.

The commands use the ports 8000, 8001, 8443, 9090 and 3000.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import synth
import tiny_bundle
from compose_stack import Stack, compose_command

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
SOUND = synth.encode(synth.noise(0))


def commands() -> list[str]:
    """Return the lines of the code blocks of the README, with continued lines joined."""
    blocks = (ROOT / "deploy" / "README.md").read_text("utf-8").split("```")[1::2]
    joined = "".join(blocks).replace("\\\n", "")
    return [line for line in joined.splitlines() if line.strip()]


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A fresh clone, with a sound and a second bundle in it."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / "rain.wav").write_bytes(SOUND)
    tiny_bundle.write(clone / "deploy" / "bundles" / "new")
    yield clone
    for project in ("deploy", "restored"):
        stack = Stack(project)
        stack.down()


def run(command: str, folder: Path) -> None:
    """Run one line in a shell, with the compose on the PATH."""
    line = re.sub(r"\bdocker compose\b", " ".join(compose_command()), command)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MINUEND_")}
    ended = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=clean, capture_output=True, text=True
    )
    assert ended.returncode == 0, f"{line}:\n{ended.stdout}{ended.stderr}"


def clips(port: int) -> list[dict[str, object]]:
    answer = httpx.get(f"http://127.0.0.1:{port}/clips", trust_env=False)
    found: list[dict[str, object]] = answer.json()["clips"]
    return found


def wait_until_ready(project: str, port: int) -> None:
    stack = Stack(project)
    stack.client.close()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        stack.wait_until_ready(client)


def test_every_command_of_the_readme_works(clone: Path) -> None:
    assert shutil.which("curl")
    assert shutil.which("openssl")
    for command in commands():
        run(command, clone)
        if command.endswith("up --build -d"):
            wait_until_ready("deploy", 8000)
            kept = httpx.put(
                "http://127.0.0.1:8000/clips/rain", files={"audio": SOUND}, trust_env=False
            )
            assert kept.status_code == 201
        elif " up " in command:
            restored = "-p restored" in command
            wait_until_ready(*(("restored", 8001) if restored else ("deploy", 8000)))

    assert [clip["clip_id"] for clip in clips(8001)] == ["rain"]
