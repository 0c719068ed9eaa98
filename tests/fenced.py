"""Parser of the fenced code blocks of a Markdown page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)[ \t]*(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        language: The first word of its fence; empty if there is none.
        note: The rest of the line of the fence.
        text: Its content.
        line: Line number of its fence.
    """

    language: str
    note: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in order."""
    source = page.read_text(encoding="utf-8")
    return [
        Block(*found.groups(), line=source.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(source)
    ]


def command_lines(page: Path, start: str) -> list[list[str]]:
    """Return the lines of all blocks that begin with a word, split and without comments."""
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{start} ")]
