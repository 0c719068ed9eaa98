"""The commit of the code that makes a result."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_commit() -> str:
    """Return the commit of this checkout, with ``+`` if files differ from it; or ``unknown``."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", str(folder))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    finished = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()
