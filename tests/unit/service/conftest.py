"""A running application for tests that speak HTTP to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import synth
import tiny_bundle
from service_client import Client, serving
from tiny_library import open_library

from service.library.library import Library


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture
def client(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Client]:
    """The service on the tiny bundle and an empty library of its own."""
    with serving(tiny_bundle_path, tmp_path / "library") as client:
        yield client


@pytest.fixture(scope="session")
def words_client(
    towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """The service on the bundle with towers and a clip for each word; not to be written to."""
    with serving(towers_bundle_path, tmp_path_factory.mktemp("words") / "library") as client:
        client.put_clips({word: synth.encode(it) for word, it in tiny_bundle.SOUNDS.items()})
        yield client


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library in the folder of the test."""
    library = open_library(tmp_path)
    yield library
    library.close()


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Undo what a test does to the logging of the whole process."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, levels = root.handlers[:], (root.level, uvicorn.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    uvicorn.setLevel(levels[1])
