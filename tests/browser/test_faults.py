"""Errors are shown at the element that caused them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import synth
from server_process import Server, running
from watched import Watched, drained, expect, put, watch

from service.api.keys import make_key, write_keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.browser


def test_files_without_audio_are_refused_by_name(own_page: Watched, tmp_path: Path) -> None:
    own_page.expected = ("400 (Bad Request)", "422 (Unprocessable")
    text = tmp_path / "notes.wav"
    text.write_text("these are notes")
    good = synth.write(tmp_path / "tone.wav", synth.tone(440))
    own_page.open("library")
    own_page.page.set_input_files("#upload-files", [text, good])

    expect(own_page.find("#uploads .refused")).to_contain_text("The file is not readable audio")
    expect(own_page.find("#uploads .stored")).to_have_count(1)
    expect(own_page.find("#status")).to_have_text("1 clip added, 1 refused")


def test_an_unreadable_sound_is_reported_at_its_input(page: Watched, tmp_path: Path) -> None:
    page.expected = ("400 (Bad Request)",)
    text = tmp_path / "notes.wav"
    text.write_text("these are notes")
    page.open()
    page.page.set_input_files("#search-form [data-name=audio] input[type=file]", text)

    problem = page.find("#search-form [data-name=audio] [role=alert]")
    expect(problem).to_contain_text("The file is not readable audio")


def test_a_search_without_a_query_is_an_error(page: Watched) -> None:
    page.open()
    page.find("#search-form .primary").click()

    expect(page.find("#search-problem")).to_contain_text("Give a sound or words")


def test_an_invalid_filter_is_reported_with_its_position(page: Watched) -> None:
    page.open("library")
    page.find("#library-filter").fill("kind=tone and more")
    page.find("#filter-form button", has_text="Filter").click()

    expect(page.find("#library-problem")).to_contain_text("cannot be read at “and more”")
    expect(page.find("#clips .clip")).to_have_count(5)


def test_a_stopped_service_is_reported(own_page: Watched, server: Server) -> None:
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


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """The secrets of a write key and a read key of the locked service."""
    made = {scope: make_key(scope, scope) for scope in ("write", "read")}
    write_keys(tmp_path / "keys", [key for _, key in made.values()])
    return {scope: secret for scope, (secret, _) in made.items()}


@pytest.fixture
def locked_page(
    browser: Browser, towers_bundle_path: Path, tmp_path: Path, keys: dict[str, str]
) -> Iterator[Watched]:
    """A page of a service that needs keys, with one clip in its library."""
    library = tmp_path / "library"
    with (
        running(towers_bundle_path, library, keys=tmp_path / "keys") as server,
        drained(server),
        watch(browser, server) as page,
    ):
        server.client.headers["authorization"] = f"Bearer {keys['write']}"
        put(server, "hiss", synth.noise(0, 1.0), title="hiss")
        # Browsers log every answer that is an error.
        page.expected = ("401 (Unauthorized)", "403 (Forbidden)")
        yield page


def unlock(page: Watched, key: str) -> None:
    """Enter a key in the dialog of the page."""
    expect(page.find("#key")).to_be_visible()
    page.find("#key-input").fill(key)
    page.page.keyboard.press("Enter")


def test_the_page_asks_for_a_key_and_uses_it_for_all_requests(
    locked_page: Watched, keys: dict[str, str], tmp_path: Path
) -> None:
    page = locked_page
    page.page.goto(page.base + "/#library")
    unlock(page, "a wrong key")
    expect(page.find("#key-text")).to_contain_text("not known")
    unlock(page, keys["write"])
    strip = page.find("#clips .strip.drawn")
    expect(strip).to_have_count(1)
    assert page.page.evaluate("sessionStorage.getItem('minuend-key')") == keys["write"]
    assert keys["write"] not in page.page.evaluate("JSON.stringify(localStorage)")

    strip.press("Enter")
    expect(strip).to_have_attribute("aria-pressed", "true")
    expect(page.find(".strip[aria-pressed=true]")).to_have_count(0)
    assert "cannot be played" not in page.find("#status").inner_text()
    page.page.set_input_files("#upload-files", synth.write(tmp_path / "a.wav", synth.tone(700)))

    expect(page.find("#clips .clip")).to_have_count(2)


def test_a_read_key_allows_a_search_but_no_deletion(
    locked_page: Watched, keys: dict[str, str]
) -> None:
    page = locked_page
    page.page.goto(page.base + "/#library")
    unlock(page, keys["read"])
    page.find("button[aria-label='Delete hiss']").click()
    page.find("#confirm-yes").click()

    expect(page.find("#library-problem")).to_contain_text("may read")
    page.find("#modifier").evaluate("() => { location.hash = '#search'; }")
    page.find("#modifier").fill("noise")
    page.find("#search-form .primary").click()
    expect(page.find(".hit")).to_have_count(1)


def test_a_missing_key_is_reported(locked_page: Watched) -> None:
    page = locked_page
    page.page.goto(page.base + "/")
    page.find("#key-cancel").click()

    expect(page.find("main > .problem")).to_contain_text("A key is needed")
