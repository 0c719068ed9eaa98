"""Playwright's assertions that wait, imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watched import WAIT_MS

if TYPE_CHECKING:
    from playwright.sync_api import Locator, LocatorAssertions


def expect(locator: Locator) -> LocatorAssertions:
    """Expect something of an element within `WAIT_MS`."""
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=WAIT_MS)
    return playwright_expect(locator)
