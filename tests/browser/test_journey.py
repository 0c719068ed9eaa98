"""The main uses of the page, from an upload to a deletion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import synth
from server_process import Server
from watched import Watched, expect, put

pytestmark = pytest.mark.browser


def test_five_uploads_a_search_with_words_a_played_hit_a_difference_and_a_deletion(
    own_page: Watched, server: Server, files: dict[str, Path], tmp_path: Path
) -> None:
    own_page.open("library")
    expect(own_page.find("#library-count")).to_contain_text("empty")
    own_page.page.set_input_files("#upload-files", list(files.values()))
    expect(own_page.find("#uploads .stored")).to_have_count(5)
    expect(own_page.find("#clips .strip.drawn")).to_have_count(5)

    own_page.find("nav a", has_text="Search").click()
    own_page.give("search-form", "audio", files["low hum"])
    own_page.find("#modifier").fill("noise")
    own_page.find("#strength").fill("2")
    own_page.find("#search-form .primary").click()
    expect(own_page.find(".hit")).to_have_count(5)
    first = own_page.find(".hit").first
    expect(first.locator("[data-term=audio]")).to_have_count(1)
    expect(first.locator("[data-term=modifier]")).to_have_count(1)

    first.locator(".strip").press("Enter")
    expect(first.locator(".strip")).to_have_attribute("aria-pressed", "true")
    expect(own_page.find(".strip[aria-pressed=true]")).to_have_count(0)

    mixture = synth.write(tmp_path / "mixture.wav", synth.tone(300, 1.5) + synth.tone(2700, 1.5))
    own_page.find("nav a", has_text="Difference").click()
    own_page.give("difference-form", "mixture", mixture)
    own_page.give("difference-form", "reference", files["low hum"])
    own_page.find("#difference-form .primary").click()
    expect(own_page.find(".timeline .strip.drawn")).to_have_count(2)
    expect(own_page.find(".verdict .big")).to_contain_text(re.compile(r"\d\.\d\d"))
    sounds = {"mixture": mixture.read_bytes(), "reference": files["low hum"].read_bytes()}
    hits = server.client.post("/difference", files=sounds).json()["hits"]
    titles = [hit["metadata"]["title"] for hit in hits]
    expect(own_page.find("#difference-results .hit .title")).to_have_text(titles)

    own_page.find("nav a", has_text="Library").click()
    own_page.find("button[aria-label='Delete hiss']").click()
    own_page.find("#confirm button", has_text="Keep it").click()
    expect(own_page.find("#clips .clip")).to_have_count(5)
    own_page.find("button[aria-label='Delete hiss']").click()
    own_page.find("#confirm-yes").click()
    expect(own_page.find("#clips .clip")).to_have_count(4)
    expect(own_page.find("#status")).to_have_text("hiss is deleted")


def test_a_hit_of_a_long_recording_shows_its_window_and_plays_it(
    own_page: Watched, server: Server, files: dict[str, Path]
) -> None:
    samples = synth.noise(5, 60.0, amplitude=0.02)
    samples[42 * 16_000 : 45 * 16_000] += synth.tone(300, 3.0)
    put(server, "field", samples, title="field")
    put(server, "short", synth.noise(6, 2.0), title="short")
    own_page.open()
    own_page.give("search-form", "audio", files["low hum"])
    own_page.find("#search-form .primary").click()
    hit = own_page.find(".hit", has_text="field")
    expect(hit.locator(".strip")).to_have_attribute(
        "aria-label", re.compile(r"field from 0:(35|40)")
    )
    expect(hit.locator(".strip .place")).to_have_count(1)
    expect(own_page.find(".hit", has_text="short").locator(".when, .place")).to_have_count(0)

    place = hit.locator(".when")
    expect(place).to_have_text(re.compile("0:35\N{EN DASH}0:45|0:40\N{EN DASH}0:50"))
    place.click()

    expect(hit.locator(".strip")).to_have_attribute("aria-pressed", "true")
    position = "async () => (await import('/page/player.js')).positionS()"
    assert 35 <= own_page.page.evaluate(position) < 60


def test_links_search_for_a_clip_and_subtract_it(page: Watched) -> None:
    page.open()
    page.find(".starters .action").first.click()
    expect(page.find(".hit")).to_have_count(4)

    page.find(".hit", has_text="high whistle").locator("a", has_text="Take this away").click()

    expect(page.find(".equals")).to_contain_text("\N{MINUS SIGN} high whistle")
    expect(page.find(".hit [data-term=difference]")).to_have_count(3)


def test_moving_the_strength_searches_again(page: Watched, files: dict[str, Path]) -> None:
    page.open()
    page.find("#modifier").fill("noise")
    page.find("#search-form .primary").click()
    expect(page.find(".equals")).to_contain_text("“noise” \N{MULTIPLICATION SIGN} 1.0")

    page.find("#strength").focus()
    page.page.keyboard.press("ArrowRight")

    expect(page.find(".equals")).to_contain_text("“noise” \N{MULTIPLICATION SIGN} 1.1")


def test_a_clip_is_picked_from_the_library(page: Watched) -> None:
    page.open()
    page.find("#search-form [data-name=audio] button", has_text="From the library").click()
    page.find("#picker-find").fill("TICK")
    expect(page.find("#picker-list li:visible")).to_have_count(1)
    page.find("#picker-list button:visible").click()

    expect(page.find("#search-form [data-name=audio] .title")).to_have_text("ticking")


def test_a_recording_can_be_searched_for(page: Watched) -> None:
    page.open()
    slot = "#search-form [data-name=audio]"
    page.find(f"{slot} button", has_text="Record").click()
    expect(page.find(f"{slot} .time")).not_to_have_text("0.0 s")
    page.find(f"{slot} button", has_text="Stop recording").click()
    expect(page.find(f"{slot} .strip.drawn")).to_have_count(1)

    page.find("#search-form .primary").click()

    expect(page.find(".hit")).to_have_count(5)


def test_two_equal_sounds_differ_in_nothing(page: Watched, files: dict[str, Path]) -> None:
    page.open("difference")
    for name in ("mixture", "reference"):
        page.give("difference-form", name, files["hiss"])
    page.find("#difference-form .primary").click()

    expect(page.find(".verdict .big")).to_contain_text("0.00")
    expect(page.find("#difference-results .empty")).to_contain_text("Nothing")


def test_the_library_can_be_filtered_and_paged(own_page: Watched, server: Server) -> None:
    for n in range(23):
        kind = "even" if n % 2 == 0 else "odd"
        put(server, f"t{n}", synth.tone(300 + n, 0.3), title=f"tone {n}", kind=kind)
    own_page.open("library")
    expect(own_page.find("#clips .clip")).to_have_count(20)
    own_page.find("#page-after").click()
    expect(own_page.find("#clips .clip")).to_have_count(3)
    expect(own_page.find("#page-number")).to_have_text("Page 2")
    own_page.find("#page-before").click()
    expect(own_page.find("#clips .clip")).to_have_count(20)

    own_page.find("#library-filter").fill("kind=odd")
    own_page.find("#filter-form button", has_text="Filter").click()

    expect(own_page.find("#clips .clip")).to_have_count(11)
    own_page.find("#clips a.value").first.click()
    expect(own_page.find("#clips .clip")).to_have_count(11)


def test_the_map_can_be_explored_with_keys(page: Watched) -> None:
    page.open("map")
    expect(page.find("#map-note")).to_contain_text("5 clips")
    page.find("#chart").focus()
    names = set()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"):
        page.page.keyboard.press(key)
        expect(page.find("#chart-card .strip.drawn")).to_have_count(1)
        names.add(page.find("#chart-card .title").inner_text())
    assert len(names) >= 2

    page.page.keyboard.press("Enter")

    expect(page.find("#chart-card .strip")).to_have_attribute("aria-pressed", "true")
    page.page.keyboard.press("Escape")
    expect(page.find("#chart-card .strip")).to_have_attribute("aria-pressed", "false")
