"""Every command of the pages of the documentation runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fenced import blocks
from walkthrough import follow, is_untested

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))

MOST_UNTESTED = 8
"""Limit of blocks that need a container, a data set or a network."""

SHORT_RUN = "--set optim.epochs=1 --set optim.batch_size=8 --stop-after 1"
INSTEAD = {
    "training.md": {
        "--set optim.epochs=100": SHORT_RUN,
        "--set optim.epochs=20": SHORT_RUN,
        # The first export of the page is run; the second one is replaced by a copy of a bundle.
        "minuend-train export runs/tuned/checkpoint.pt --out": "cp -r models/next",
        "encoder 9 --recipe cpu": "encoder 0.02 --recipe cpu --set optim.batch_size=8",
        "minuend-train export encoder --data my-sounds.csv --out": "cp -r models/next",
    },
    "serving.md": {"--seconds 10": "--seconds 0.5"},
}
"""Commands that take minutes, with replacements for the tests."""


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path, instead=INSTEAD.get(page.name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_has_a_reason(page: Path) -> None:
    found = blocks(page)
    assert page.read_text("utf-8").count("```") == 2 * len(found), "a fence is indented or open"
    for block in found:
        assert block.language in ("bash", "python", "json", "mermaid"), f"line {block.line}"
        assert not block.note or is_untested(block), f"line {block.line}: {block.note}"


def test_few_blocks_are_not_run() -> None:
    not_run = [block for page in PAGES for block in blocks(page) if is_untested(block)]
    assert len(not_run) <= MOST_UNTESTED
