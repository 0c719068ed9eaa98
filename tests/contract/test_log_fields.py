"""The table of log fields in docs/serving.md is what the service logs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDED_BY_THE_FORMATTER = {"timestamp", "level", "logger", "message", "request_id", "exc_info"}
"""On every line, and where there is a request or an exception; see `service.observability.logs`."""


def calls(*names: str) -> Iterator[ast.Call]:
    """Yield the calls of methods of these names in the service."""
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in names:
                yield node


def logged() -> set[str]:
    """Return the fields that log calls add, but for those of the phases."""
    extras = [
        keyword.value
        for call in calls("debug", "info", "warning", "error", "exception")
        for keyword in call.keywords
        if keyword.arg == "extra"
    ]
    return {key for extra in extras for node in ast.walk(extra) for key in _keys(node)}


def _keys(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Dict):
        return []
    return [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]


def timings() -> set[str]:
    """Return the names of all phases of requests."""
    of_phases = [
        call.args[0]
        for call in calls("measure", "add")
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).endswith("timings")
    ]
    literals = {str(name.value) for name in of_phases if isinstance(name, ast.Constant)}
    return literals | {"encode"}  # also named by an expression


def documented() -> set[str]:
    table = (ROOT / "docs" / "serving.md").read_text("utf-8").split("## What is logged")[1]
    rows = re.findall(r"^\| (`.*?) \|", table.split("\n## ")[0], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_is_documented_and_no_other() -> None:
    of_phases = {f"{phase}_ms" for phase in timings()}

    assert documented() == ADDED_BY_THE_FORMATTER | logged() | of_phases
