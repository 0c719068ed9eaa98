"""Image for the tests of the containers."""

from __future__ import annotations

import pytest
from compose_stack import IMAGE, build


@pytest.fixture(scope="session")
def image() -> str:
    """Name of an image that was built from the working tree."""
    build()
    return IMAGE
