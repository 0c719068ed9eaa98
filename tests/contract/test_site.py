"""The site of the documentation: links are valid, and nothing is loaded from other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(https?:)?//")
LINKED = re.compile(r"<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a broken link fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    sources = {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    for source in sources:
        name = "" if source.stem in ("index", "README") else source.stem
        assert (site / source.parent / name / "index.html").is_file(), source


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text("utf-8")
        assert not LOADED.search(html), page
        assert not LINKED.search(html), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:", style.read_text("utf-8")), style


def test_the_notes_for_the_tests_are_not_shown(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "bash untested" not in page.read_text("utf-8"), page
