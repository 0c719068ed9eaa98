"""The image that the tests of the containers run."""

from __future__ import annotations

import pytest
from compose_stack import IMAGE, build


@pytest.fixture(scope="session")
def image() -> str:
    """The name of an image built from this tree."""
    build()
    return IMAGE
