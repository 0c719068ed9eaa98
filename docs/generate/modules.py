"""Page of all modules of the repository, with the first sentences of their docstrings."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tables import code, table

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "training", "tools", "client/minuend_client", "benchmarks")
HEAD = """\
# Modules

All modules, with the first sentence of their docstrings. [How the code is laid out](../layout.md)
explains how they work together.
"""


def page() -> str:
    """Return the page."""
    sections = [HEAD]
    for package in PACKAGES:
        by_folder: defaultdict[Path, list[tuple[str, str]]] = defaultdict(list)
        for path in sorted((ROOT / package).rglob("*.py")):
            about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if about:
                folder = path.parent.relative_to(ROOT)
                by_folder[folder].append((code(path.name), about.split("\n\n")[0]))
        for folder, rows in sorted(by_folder.items()):
            sections.append(f"## {folder.as_posix()}\n\n{table(('module', 'purpose'), rows)}")
    return "\n".join(sections)
