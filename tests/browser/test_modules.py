"""Modules of the page without a user interface, run in the browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from server_process import Server
from watched import Watched, watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

POINTS = [{"x": x, "y": y} for x in (-1, 0, 1) for y in (-1, 0, 1)]


@pytest.fixture(scope="module")
def page(browser: Browser, filled: Server) -> Iterator[Watched]:
    """One open page for all tests, which do not change it."""
    with watch(browser, filled) as page:
        page.open()
        yield page


def run(page: Watched, module: str, body: str, argument: Any = None) -> Any:
    """Run the body of a function of a module `m` and an argument `a`."""
    source = f"async (a) => {{ const m = await import('/page/{module}'); {body} }}"
    return page.page.evaluate(source, argument)


@pytest.mark.parametrize(
    ("text", "filter_"),
    [
        ("", None),
        ("kind=rain", {"kind": "rain"}),
        ("kind=rain|wind n=3, m=4", {"kind": ["rain", "wind"], "n": 3, "m": 4}),
        ("year>=1990 year<2000", {"year": {"gte": 1990, "lt": 2000}}),
        ('place="the garden"', {"place": "the garden"}),
        ('place="the garden"|park n=3', {"place": ["the garden", "park"], "n": 3}),
        ("loop=true licence=none", {"loop": True, "licence": None}),
        ('code="12"', {"code": "12"}),
        ('{"kind": ["rain"]}', {"kind": ["rain"]}),
    ],
)
def test_filters_are_parsed(page: Watched, text: str, filter_: Any) -> None:
    assert run(page, "filter.js", "return m.parseFilter(a);", text) == filter_


@pytest.mark.parametrize("text", ["rain", "kind=", "=rain", "kind=rain wind", "{kind}"])
def test_an_invalid_filter_is_refused(page: Watched, text: str) -> None:
    body = "try { m.parseFilter(a); } catch (error) { return error.message; }"

    assert run(page, "filter.js", body, text).startswith("The filter")


@pytest.mark.parametrize(
    "value", ["rain", "the garden", "12", "true", "none", 12, 1.5, False, "a|b", "a,b"]
)
def test_a_filter_that_is_written_reads_back(page: Watched, value: Any) -> None:
    body = "return m.parseFilter(m.filterText('x', a));"

    assert run(page, "filter.js", body, value) == {"x": value}


def test_a_recording_is_a_wav_file_that_decodes_to_its_samples(page: Watched) -> None:
    samples = np.sin(np.arange(1000) / 10).astype(np.float32)
    blocks = [samples[:300].tolist(), samples[300:].tolist()]
    body = """
      const file = m.toWav(a.map((block) => Float32Array.from(block)), 48000);
      return [...new Uint8Array(await file.arrayBuffer())];
    """

    content = run(page, "wav.js", body, blocks)

    decoded, rate = soundfile.read(io.BytesIO(bytes(content)), dtype="float32")
    assert rate == 48_000
    np.testing.assert_allclose(decoded, samples, atol=1 / 32_000)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [([1, 0], (1, 0)), ([-1, 0], (-1, 0)), ([0, -1], (0, 1)), ([0, 1], (0, -1))],
)
def test_keys_go_to_the_neighbour_on_that_side(
    page: Watched, direction: list[int], expected: tuple[int, int]
) -> None:
    body = """
      const chart = new m.Chart(a.points);
      chart.resize(800, 600);
      const { x, y } = chart.towards(a.points[4], a.direction);
      return [x, y];
    """

    found = run(page, "chart.js", body, {"points": POINTS, "direction": direction})

    assert tuple(found) == expected


def test_enlarging_keeps_the_place_under_the_pointer(page: Watched) -> None:
    body = """
      const chart = new m.Chart(a);
      chart.resize(800, 600);
      const before = chart.place(a[2]);
      chart.enlarge(3, before);
      const after = chart.place(a[2]);
      return [before.x - after.x, before.y - after.y, chart.zoom, chart.nearest(after, 1) === a[2]];
    """

    dx, dy, zoom, is_found = run(page, "chart.js", body, POINTS)

    assert (abs(dx) < 1e-6, abs(dy) < 1e-6, zoom, is_found) == (True, True, 3, True)


def test_every_point_is_on_the_chart_and_none_hides_another(page: Watched) -> None:
    body = """
      const chart = new m.Chart(a);
      chart.resize(800, 600);
      return a.map((point) => chart.place(point));
    """

    places = run(page, "chart.js", body, POINTS)

    assert all(0 < place["x"] < 800 and 0 < place["y"] < 600 for place in places)
    assert len({(round(place["x"]), round(place["y"])) for place in places}) == len(POINTS)


def test_groups_come_with_their_middle_the_largest_first(page: Watched) -> None:
    groups = [("a", 0, 0), ("b", 1, 1), ("b", 3, 5), ("b", 2, 9), (None, 7, 7)]
    points = [{"group": group, "x": x, "y": y} for group, x, y in groups]
    body = "return m.groupsOf(a).map(({ name, members, x, y }) => [name, members.length, x, y]);"

    assert run(page, "chart.js", body, points) == [["b", 3, 2, 5], ["a", 1, 0, 0]]


@pytest.mark.parametrize(("span_s", "step_s"), [(0.7, 0.1), (4.5, 0.5), (60, 10), (1800, 300)])
def test_a_time_axis_has_few_round_ticks(page: Watched, span_s: float, step_s: float) -> None:
    assert run(page, "axis.js", "return m.stepOf(a);", span_s) == step_s


def test_a_curve_is_drawn_if_there_is_one(page: Watched) -> None:
    curve = [
        {"start_s": 0, "end_s": 0.5, "relative_norm": 0.1},
        {"start_s": 0.5, "end_s": 1, "relative_norm": 0.8},
    ]
    body = "return m.makeCurve(a, 2).querySelector('polyline').getAttribute('points');"

    points = [point.split(",") for point in run(page, "curve.js", body, curve).split()]

    assert [float(x) for x, _ in points] == [0, 250, 250, 500]
    assert float(points[0][1]) > float(points[2][1]) == 0
    assert run(page, "curve.js", "return m.makeCurve(undefined, 2);") is None


def test_the_peaks_of_a_curve_are_described_in_words(page: Watched) -> None:
    curve = [
        {"start_s": 0, "end_s": 1, "relative_norm": 0.1, "phrases": []},
        {"start_s": 0.5, "end_s": 1.5, "relative_norm": 0.8, "phrases": [{"phrase": "a dog"}]},
    ]
    body = "return m.makeCurve(a, 2).querySelector('.peaks').textContent;"

    assert run(page, "curve.js", body, curve) == "0.5 s a dog"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.99, "0:09"), (65, "1:05"), (3599.9, "59:59"), (3725, "1:02:05")],
)
def test_a_time_is_written_as_a_player_shows_it(page: Watched, seconds: float, text: str) -> None:
    assert run(page, "words.js", "return m.clock(a);", seconds) == text


@pytest.mark.parametrize(
    ("hit", "is_part"),
    [
        ({"start_s": 0, "end_s": 2, "duration_s": 2}, False),
        ({"start_s": None, "end_s": None, "duration_s": None}, False),
        ({"duration_s": 2}, False),
        ({"start_s": 0, "end_s": 10, "duration_s": 12}, True),
        ({"start_s": 5, "end_s": 12, "duration_s": 12}, True),
    ],
)
def test_only_a_part_of_a_recording_has_times(
    page: Watched, hit: dict[str, float | None], is_part: bool
) -> None:
    assert run(page, "sound.js", "return m.placeOf(a) !== null;", hit) == is_part
