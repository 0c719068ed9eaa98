"""Chromium with the real server: `make browser-test`.

The fixtures import Playwright, so that these files can be collected without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import synth
from server_process import Server, running
from watched import CHROMIUM, FLAGS, Watched, drained, put, watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Sounds that the tiny bundle distinguishes.
SOUNDS = {
    "low hum": synth.tone(300, 1.5),
    "high whistle": synth.tone(2700, 1.5),
    "hiss": synth.noise(0, 2.0),
    "ticking": synth.impulses(20, 1.5),
    "rising": synth.chirp(200, 3000, 2.0),
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def filled(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service on the tiny bundle with towers and the five sounds; tests do not change it."""
    library = tmp_path_factory.mktemp("filled") / "library"
    with running(towers_bundle_path, library) as server, drained(server):
        for title, samples in SOUNDS.items():
            kind = "tone" if title in ("low hum", "high whistle") else "other"
            put(server, title.replace(" ", "-"), samples, title=title, kind=kind)
        yield server


@pytest.fixture
def server(towers_bundle_path: Path, tmp_path: Path) -> Iterator[Server]:
    """A service on the same bundle with an empty library."""
    with running(towers_bundle_path, tmp_path / "library") as server, drained(server):
        yield server


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The five sounds as files."""
    folder = tmp_path_factory.mktemp("files")
    return {
        title: synth.write(folder / f"{title}.wav", samples) for title, samples in SOUNDS.items()
    }


@pytest.fixture
def page(browser: Browser, filled: Server, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page with the five sounds; the test fails on errors in its console or requests to others.

    Parametrise indirectly with options of a Playwright context.
    """
    with watch(browser, filled, **getattr(request, "param", {})) as page:
        yield page


@pytest.fixture
def own_page(browser: Browser, server: Server) -> Iterator[Watched]:
    """A page with an empty library, watched like `page`."""
    with watch(browser, server) as page:
        yield page
