"""Accessibility of the page: keys, screen readers, phones, dark theme."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from watched import Watched, expect

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def show(page: Watched, view: str, files: dict[str, Path]) -> None:
    """Open a view with content."""
    page.open(view)
    if view == "search":
        page.give("search-form", "audio", files["low hum"])
        page.find("#modifier").fill("noise")
        page.find("#search-form .primary").click()
        expect(page.find(".hit")).to_have_count(5)
    elif view == "difference":
        page.give("difference-form", "mixture", files["rising"])
        page.give("difference-form", "reference", files["low hum"])
        page.find("#difference-form .primary").click()
        expect(page.find("#difference-results .hit")).to_have_count(5)
    elif view == "library":
        expect(page.find("#clips .clip")).to_have_count(5)
    else:
        expect(page.find("#map-note")).to_contain_text("5 clips")  # it is loaded
        page.find("#chart").press("ArrowRight")
        expect(page.find("#chart-card .strip.drawn")).to_have_count(1)


@pytest.mark.parametrize("view", ["search", "difference", "library", "map"])
@pytest.mark.parametrize(
    "page",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_axe_finds_no_serious_fault(page: Watched, view: str, files: dict[str, Path]) -> None:
    show(page, view, files)
    page.page.evaluate(AXE.read_text("utf-8"))

    found = page.page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    faults = [
        (fault["id"], node["target"], node["failureSummary"])
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]
    assert faults == [], json.dumps(faults, indent=1)


@pytest.mark.parametrize("dialog", ["picker", "confirm"])
def test_axe_finds_no_serious_fault_in_dialogs(page: Watched, dialog: str) -> None:
    page.open("library" if dialog == "confirm" else "search")
    opener = {
        "picker": "#search-form [data-name=audio] button:has-text('From the library')",
        "confirm": "button[aria-label='Delete hiss']",
    }[dialog]
    page.find(opener).click()
    expect(page.find(f"#{dialog}")).to_be_visible()
    page.page.evaluate(AXE.read_text("utf-8"))

    found = page.page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert [fault["id"] for fault in found["violations"] if fault["impact"] in SERIOUS] == []


@pytest.mark.parametrize("page", [PHONE], indirect=True)
@pytest.mark.parametrize("view", ["search", "difference", "library", "map"])
def test_a_phone_scrolls_in_one_direction_only(
    page: Watched, view: str, files: dict[str, Path]
) -> None:
    show(page, view, files)

    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_hits_are_selected_and_played_with_keys(page: Watched, files: dict[str, Path]) -> None:
    show(page, "search", files)
    strips = page.find(".hit .strip")
    strips.first.focus()
    page.page.keyboard.press("ArrowDown")
    expect(strips.nth(1)).to_be_focused()
    page.page.keyboard.press("End")
    expect(strips.last).to_be_focused()
    page.page.keyboard.press("ArrowUp")
    page.page.keyboard.press("Space")
    expect(strips.nth(3)).to_have_attribute("aria-pressed", "true")
    page.page.keyboard.press("Escape")
    expect(strips.nth(3)).to_have_attribute("aria-pressed", "false")


def test_going_to_a_view_moves_the_focus_to_its_heading(page: Watched) -> None:
    page.open()
    page.find("nav a", has_text="Library").press("Enter")

    expect(page.find("#library-title")).to_be_focused()
    expect(page.find("nav a[aria-current=page]")).to_have_text("Library")
    assert page.page.title() == "Library · Minuend"


def test_hovering_plays_after_the_first_gesture_and_stops_on_leaving(page: Watched) -> None:
    page.open("library")
    expect(page.find("#clips .strip.drawn")).to_have_count(5)
    strip = page.find("#clips .strip").nth(2)
    page.page.mouse.click(5, 400)
    strip.hover()
    expect(strip).to_have_attribute("aria-pressed", "true")
    page.page.mouse.move(5, 400)
    expect(strip).to_have_attribute("aria-pressed", "false")

    page.find("#hover-switch").click()
    strip.hover()
    page.page.wait_for_timeout(400)

    expect(strip).to_have_attribute("aria-pressed", "false")


def test_the_theme_can_be_chosen_and_is_remembered(page: Watched) -> None:
    page.open()
    backgrounds = set()
    for _ in range(3):
        page.find("#theme-switch").click()
        style = "getComputedStyle(document.documentElement).backgroundColor"
        backgrounds.add(page.page.evaluate(style))
    assert len(backgrounds) == 2
    page.find("#theme-switch").click()
    page.find("#theme-switch").click()
    expect(page.find("#theme-switch")).to_have_text("Theme: dark")

    page.page.reload()

    expect(page.find("#theme-switch")).to_have_text("Theme: dark")
