"""Chromium on the real server: `make browser-test`.

Playwright is imported by the fixtures, so that these files can be collected where it is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import synth
from server_process import Server, running
from watched import CHROMIUM, FLAGS, Watched, watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What a tiny bundle tells apart: bands, and words for some of them.
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


@pytest.fixture
def server(towers_bundle_path: Path, tmp_path: Path) -> Iterator[Server]:
    """The service on the tiny bundle with towers and an empty library."""
    with running(towers_bundle_path, tmp_path / "library") as server:
        yield server


@pytest.fixture
def filled(server: Server) -> Server:
    """The service with the five sounds in its library."""
    for title, samples in SOUNDS.items():
        kind = "tone" if title in ("low hum", "high whistle") else "other"
        metadata = f'{{"title": "{title}", "kind": "{kind}"}}'
        name = title.replace(" ", "-")
        files = {"audio": synth.encode(samples)}
        answer = server.client.put(f"/clips/{name}", files=files, data={"metadata": metadata})
        assert answer.status_code == 201, answer.text
    return server


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The five sounds as files."""
    return {
        title: synth.write(tmp_path / f"{title}.wav", samples) for title, samples in SOUNDS.items()
    }


@pytest.fixture
def page(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page of its own in a fresh profile; it fails the test if it complains or calls others.

    Parametrise indirectly with options of a Playwright context.
    """
    # High, so that all of a list is in sight: pictures are drawn when they come into it.
    usual = {"viewport": {"width": 1280, "height": 1600}}
    options: dict[str, Any] = usual | getattr(request, "param", {})
    with watch(browser, f"http://127.0.0.1:{server.port}", **options) as page:
        yield page
