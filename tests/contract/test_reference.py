"""The pages of docs/reference are those that the code gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page.name for page in (DOCS / "reference").glob("*.md"))
PATHS = sorted(create_app(Settings()).openapi()["paths"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of `make reference`."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, DOCS / "generate", folder], check=True)
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_code_gives(name: str, written: Path) -> None:
    committed = (DOCS / "reference" / name).read_text("utf-8")
    assert committed == (written / name).read_text("utf-8"), "run `make reference`"


def test_the_reference_has_every_page(written: Path) -> None:
    assert {page.name for page in written.iterdir()} == {*PAGES}


@pytest.mark.parametrize("path", PATHS)
def test_the_page_on_the_api_shows_every_call(path: str) -> None:
    shown = (DOCS / "api.md").read_text("utf-8")
    literal = path.partition("{")[0]
    assert f"localhost:8000{literal}" in shown
