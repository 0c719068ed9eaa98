"""A page with checks of its console and its requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import synth
from server_process import Server

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Locator,
        LocatorAssertions,
        Page,
        Request,
    )

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]
WAIT_MS = 30_000


class Watched:
    """A page, with its errors and its requests to other hosts.

    Attributes:
        page: The page of Playwright.
        complaints: Messages of the console that are warnings or errors, and uncaught exceptions.
        foreign: Addresses of other hosts that it requested.
        expected: Parts of complaints that a test causes on purpose.
    """

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.base + "/", f"blob:{self.base}/", "data:")):
            self.foreign.append(request.url)

    def open(self, view: str = "search") -> None:
        """Open a view and wait until the page is ready."""
        self.page.goto(f"{self.base}/#{view}")
        self.page.wait_for_selector("html[data-ready]")

    def find(self, selector: str, *, has_text: str | None = None) -> Locator:
        """Find elements, those with a text in them if one is given."""
        return self.page.locator(selector, has_text=has_text)

    def give(self, form: str, name: str, file: Path) -> None:
        """Give a file to a place for a sound, and wait for its picture."""
        slot = f"#{form} [data-name={name}]"
        self.page.set_input_files(f"{slot} input[type=file]", file)
        self.page.wait_for_selector(f"{slot} .strip.drawn")

    def check(self) -> None:
        """Fail if the page complained or called another host."""
        unexpected = [
            text for text in self.complaints if not any(part in text for part in self.expected)
        ]
        assert unexpected == []
        assert self.foreign == []


def expect(locator: Locator) -> LocatorAssertions:
    """Expect something of an element within `WAIT_MS`; needs Playwright only when it is called."""
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=WAIT_MS)
    return playwright_expect(locator)


@contextmanager
def watch(browser: Browser, server: Server, **options: Any) -> Iterator[Watched]:
    """Open an empty page in a fresh profile, and check it in the end."""
    # High, so that all of a list is in sight: pictures are drawn when they come into it.
    usual = {"viewport": {"width": 1280, "height": 1600}}
    context = browser.new_context(**usual | options)
    try:
        watched = Watched(context.new_page(), f"http://127.0.0.1:{server.port}")
        yield watched
        watched.check()
    finally:
        context.close()


def put(server: Server, clip_id: str, samples: np.ndarray, **metadata: str) -> None:
    """Put a sound into the library of a server."""
    files = {"audio": synth.encode(samples)}
    data = {"metadata": json.dumps(metadata)}
    answer = server.client.put(f"/clips/{clip_id}", files=files, data=data)
    assert answer.status_code == 201, answer.text


@contextmanager
def drained(server: Server) -> Iterator[None]:
    """Read what a server logs: one whose pipe is full would wait for ever."""
    assert server.process.stderr is not None
    reader = Thread(target=lambda lines: [None for _ in lines], args=[server.process.stderr])
    reader.start()
    try:
        yield
    finally:
        server.process.kill()
        reader.join()
