"""Time until the page can be used, in Chromium on the library of the demo.

    .venv/dev/bin/python benchmarks/first_view.py

Measures from the start of the navigation to the first contentful paint, and until all requests are
answered and the page accepts input. Fresh: with an empty cache. Again: with the same profile, whose
cached files are only revalidated.
"""

from __future__ import annotations

from typing import Any

import results
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from services import demo_service

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VISITS = 15
WATCH = """
  performance.setResourceTimingBufferSize(1000);
  new MutationObserver(() => {
    if (document.documentElement?.hasAttribute("data-ready")) window.readyMs ??= performance.now();
  }).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] });
"""
MEASURE = """() => new Promise((resolve) => {
  const look = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    if (paint && window.readyMs) resolve({ paint_ms: paint.startTime, ready_ms: window.readyMs });
    else setTimeout(look, 10);
  };
  look();
})"""


def main() -> None:
    """Measure and write ``docs/results/first_view.json``."""
    with demo_service() as (server, n_clips), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        views = visit_all(browser, server.url)
        version = browser.version
        browser.close()
    results.write("first_view", {"chromium": version, "clips": n_clips, **views})


def visit_all(browser: Browser, url: str) -> dict[str, Any]:
    """Visit the page with an empty cache, and once more with a filled one."""
    fresh, again = [], []
    for _ in range(VISITS):
        context = browser.new_context()
        fresh.append(visit(context, url))
        again.append(visit(context, url))
        context.close()
    return {"fresh": spread(fresh), "again": spread(again)}


def visit(context: BrowserContext, url: str) -> dict[str, float]:
    """Open the page in a new tab and read the times of the browser."""
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url)
    measured: dict[str, float] = page.evaluate(MEASURE)
    page.close()
    return measured


def spread(visits: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the minimum, the median and the maximum of every figure."""
    return {name: results.spread((visit[name] for visit in visits), 1) for name in visits[0]}


if __name__ == "__main__":
    main()
