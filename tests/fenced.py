"""The fenced code blocks of a Markdown page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)[ \t]*(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        language: The first word of its fence; empty if there is none.
        note: What stands after that word.
        text: What is in it.
        line: Where in the page its fence is.
    """

    language: str
    note: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    source = page.read_text(encoding="utf-8")
    return [
        Block(*found.groups(), line=source.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(source)
    ]


def command_lines(page: Path, start: str) -> list[list[str]]:
    """Split the lines of a page's blocks that begin with a word, without their comments."""
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{start} ")]
