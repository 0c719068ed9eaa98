from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"


def table() -> dict[str, str]:
    """Return the rows of the README's settings table by their first cell."""
    rows = re.findall(rf"^\|\s*`({PREFIX}\w+)`\s*\|(.*)$", README.read_text("utf-8"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_readme_lists_each_setting(name: str) -> None:
    assert PREFIX + name.upper() in table()


def test_the_readme_lists_no_other_setting() -> None:
    assert set(table()) == {PREFIX + name.upper() for name in Settings.model_fields}
