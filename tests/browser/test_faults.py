"""What goes wrong is said plainly, and where it belongs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import synth
from playwright_expect import expect
from server_process import Server
from watched import Watched, put

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.browser

KEY = "the right key"


def test_files_that_are_no_audio_are_refused_by_name(own_page: Watched, tmp_path: Path) -> None:
    own_page.expected = ("400 (Bad Request)", "422 (Unprocessable")
    text = tmp_path / "notes.wav"
    text.write_text("these are notes")
    good = synth.write(tmp_path / "tone.wav", synth.tone(440))
    own_page.open("library")
    own_page.page.set_input_files("#upload-files", [text, good])

    expect(own_page.find("#uploads .refused")).to_contain_text("The file is not readable audio")
    expect(own_page.find("#uploads .stored")).to_have_count(1)
    expect(own_page.find("#status")).to_have_text("1 clip added, 1 refused")


def test_a_sound_that_cannot_be_read_is_told_where_it_was_given(
    page: Watched, tmp_path: Path
) -> None:
    page.expected = ("400 (Bad Request)",)
    text = tmp_path / "notes.wav"
    text.write_text("these are notes")
    page.open()
    page.page.set_input_files("#search-form [data-name=audio] input[type=file]", text)

    problem = page.find("#search-form [data-name=audio] [role=alert]")
    expect(problem).to_contain_text("The file is not readable audio")


def test_a_search_for_nothing_says_what_is_missing(page: Watched) -> None:
    page.open()
    page.find("#search-form .primary").click()

    expect(page.find("#search-problem")).to_contain_text("Give a sound or words")


def test_a_filter_that_cannot_be_read_says_where(page: Watched) -> None:
    page.open("library")
    page.find("#library-filter").fill("kind=tone and more")
    page.find("#filter-form button", has_text="Filter").click()

    expect(page.find("#library-problem")).to_contain_text("cannot be read at “and more”")
    expect(page.find("#clips .clip")).to_have_count(5)


def test_a_service_that_is_gone_is_told(own_page: Watched, server: Server) -> None:
    own_page.expected = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET")
    own_page.open("map")
    server.stop()
    own_page.find("nav a", has_text="Library").click()

    expect(own_page.find("#library-problem")).to_contain_text("cannot be reached")


def test_without_towers_words_are_not_offered(page: Watched) -> None:
    def without_towers(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "modifier": False, "towers": None})

    page.page.route("**/info", without_towers)
    page.open()

    expect(page.find("#modifier")).to_be_disabled()
    expect(page.find("#modifier-note")).to_contain_text("takes no words")


def demand_key(route: Route) -> None:
    """Answer as a service with keys does; the page itself needs none."""
    path = route.request.url.split("/", 3)[3].split("?")[0]
    is_open = path == "" or path.startswith("page/")
    if is_open or route.request.headers.get("authorization") == f"Bearer {KEY}":
        route.continue_()
        return
    problem = {
        "type": "urn:minuend:problem:unauthorized",
        "title": "A key is needed",
        "status": 401,
        "detail": "send it as 'Authorization: Bearer KEY'",
        "instance": "/",
        "code": "unauthorized",
        "request_id": "0",
    }
    route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))


def test_a_key_is_asked_for_and_used_for_all_that_is_fetched(
    own_page: Watched, server: Server, tmp_path: Path
) -> None:
    put(server, "hiss", synth.noise(0, 1.0), title="hiss")
    own_page.expected = ("401 (Unauthorized)",)
    own_page.page.route("**/*", demand_key)
    own_page.page.goto(own_page.base + "/#library")
    own_page.find("#key-input").fill("a wrong key")
    own_page.page.keyboard.press("Enter")
    expect(own_page.find("#key-text")).to_contain_text("Authorization")
    own_page.find("#key-input").fill(KEY)
    own_page.page.keyboard.press("Enter")
    expect(own_page.find("#clips .strip.drawn")).to_have_count(1)
    assert own_page.page.evaluate("sessionStorage.getItem('minuend-key')") == KEY
    assert own_page.page.evaluate("JSON.stringify(localStorage)").count(KEY) == 0

    own_page.find("#clips .strip").press("Enter")
    expect(own_page.find("#clips .strip")).to_have_attribute("aria-pressed", "true")
    expect(own_page.find(".strip[aria-pressed=true]")).to_have_count(0)
    assert "cannot be played" not in own_page.find("#status").inner_text()
    own_page.page.set_input_files("#upload-files", synth.write(tmp_path / "a.wav", synth.tone(700)))

    expect(own_page.find("#clips .clip")).to_have_count(2)


def test_without_a_key_the_page_says_so(page: Watched) -> None:
    page.expected = ("401 (Unauthorized)",)
    page.page.route("**/*", demand_key)
    page.page.goto(page.base + "/")
    page.find("#key button", has_text="Cancel").click()

    expect(page.find("main > .problem")).to_contain_text("A key is needed")
