"""Runner of the code blocks of a page of the documentation, in order and in one shell.

The shell runs in a folder that looks like a clone, so that commands write only there. Each service
listens on a free port instead of the one in the page. If a block is followed by a block of JSON,
its output must have the same names and types of values.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import stand_in_curl
import tiny_bundle
from fenced import Block, blocks

ROOT = Path(__file__).parents[1]
UNTESTED = re.compile(r"untested: \S.*")
NOT_LINKED = {"models", "library", "cache", "runs", "docs", ".git", ".venv"}
LONGEST_S = 600

_PORT = re.compile(r"\b80\d\d\b")
_PRELUDE = """\
set -euo pipefail
curl() {{ command curl --silent --show-error $fail "$@"; }}
fail=--fail-with-body
cd {folder}
"""


def follow(page: Path, folder: Path, *, instead: Mapping[str, str] | None = None) -> None:
    """Run the blocks of a page in order.

    Args:
        page: The page.
        folder: An empty folder.
        instead: Texts of the page with replacements that take less time.

    Raises:
        AssertionError: A block failed, or its output differs from the page.
    """
    clone = folder / "clone"
    _make_clone(clone)
    steps = [(block, folder / f"printed-{block.line}") for block in blocks(page)]
    source = "".join(_step(steps, number, clone) for number in range(len(steps)))
    for text, replacement in (instead or {}).items():
        assert text in source, f"{page.name} does not have {text!r}"
        source = source.replace(text, replacement)
    ports = _free_ports(_PORT.findall(source))
    source = _PORT.sub(lambda found: ports[found.group()], source)
    script = folder / "page.sh"
    script.write_text(_PRELUDE.format(folder=clone) + source, encoding="utf-8")
    _run(script, page, _environment(folder, ports.get("8000", "8000")))
    for (_, printed), (block, _) in pairwise(steps):
        if block.language == "json":
            _compare(block, printed, page)


def is_untested(block: Block) -> bool:
    """Return whether a block is marked as not to be run."""
    return UNTESTED.fullmatch(block.note) is not None


def _make_clone(clone: Path) -> None:
    """Make a folder with links to the files of the repository, in which commands may write."""
    (clone / "models").mkdir(parents=True)
    (clone / "docs").mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in NOT_LINKED:
            (clone / entry.name).symlink_to(entry)
    (clone / "models" / "default").symlink_to(ROOT / "models" / "default")
    tiny_bundle.write(clone / "models" / "next", seed=1)


def _step(steps: list[tuple[Block, Path]], number: int, clone: Path) -> str:
    """Return the shell source of a block."""
    block, printed = steps[number]
    if is_untested(block) or block.language in ("json", "mermaid"):
        return ""
    text = block.text
    if block.language == "python":
        text = f"python - <<'PROGRAM'\n{text}PROGRAM\n"
    after = steps[number + 1][0] if number + 1 < len(steps) else None
    is_error = after is not None and after.language == "json" and '"code"' in after.text
    fail = "" if is_error else "--fail-with-body"
    return f"echo '@ line {block.line}' >&2; fail={fail}\n{{\n{text}}} > {printed}\n"


def _environment(folder: Path, port: str) -> dict[str, str]:
    programs = folder / "bin"
    programs.mkdir()
    commands = {
        "python": [],
        "minuend": ["-m", "service.cli"],
        "minuend-train": ["-m", "training.cli"],
    }
    if shutil.which("curl") is None:
        commands["curl"] = [stand_in_curl.__file__]
    for name, words in commands.items():
        line = " ".join(["exec", f"'{sys.executable}'", *words, '"$@"'])
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MINUEND_")}
    # One thread each: spinning threads are slow on a busy machine.
    threads = {"OMP_NUM_THREADS": "1"}
    return kept | threads | {"PATH": f"{programs}:{kept['PATH']}", "MINUEND_PORT": port}


def _free_ports(named: list[str]) -> dict[str, str]:
    """Return a free port for each port in the page."""
    sockets = {name: socket.socket() for name in {*named}}
    for opened in sockets.values():
        opened.bind(("127.0.0.1", 0))
    ports = {name: str(opened.getsockname()[1]) for name, opened in sockets.items()}
    for opened in sockets.values():
        opened.close()
    return ports


def _run(script: Path, page: Path, environment: Mapping[str, str]) -> None:
    log_path = script.with_suffix(".log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["bash", str(script)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(LONGEST_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the services that the page started
            process.wait()
    if code != 0:
        lines = log_path.read_text("utf-8", errors="replace").splitlines()
        last = next(line for line in reversed(lines) if line.startswith("@ line "))
        printed = script.parent / f"printed-{last.removeprefix('@ line ')}"
        raise AssertionError(
            f"{page.name}, the block of {last[2:]}, ended with {code}:\n"
            + "\n".join([*lines[-15:], printed.read_text("utf-8", errors="replace")[-2000:]])
        )


def _compare(block: Block, printed: Path, page: Path) -> None:
    shown, got = json.loads(block.text), json.loads(printed.read_text("utf-8"))
    assert _types(shown) == _types(got), f"{page.name}, line {block.line}: {got}"


def _types(value: Any) -> Any:
    """Return a JSON value with each text and number replaced by the name of its type."""
    if isinstance(value, dict):
        return {name: _types(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_types(item) for item in value[:1]]
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else value
