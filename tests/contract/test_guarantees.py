"""Every promise of docs/guarantees.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
LINK = re.compile(r"\[(test_\w+)\]\(([^)]+\.py)\)")
PROMISES, NOT_PROMISED = PAGE.read_text("utf-8").split("## What is not promised")


def statements() -> list[str]:
    """Return the rows, list items and bold paragraphs of the page."""
    blocks = re.split(r"\n\n|\n(?=- )|\n(?=\|)", PROMISES)
    marks = ("- ", "| ", "**")
    heads = ("| answer |",)
    return [it for it in blocks if it.startswith(marks) and not it.startswith(heads)]


@pytest.mark.parametrize(("test", "file"), sorted(set(LINK.findall(PROMISES))))
def test_a_named_test_exists(test: str, file: str) -> None:
    assert f"def {test}(" in (PAGE.parent / file).read_text("utf-8")


def test_every_promise_names_a_test() -> None:
    found = statements()
    assert len(found) > 20
    assert [it for it in found if not LINK.search(it)] == []
