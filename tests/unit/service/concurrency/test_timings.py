from __future__ import annotations

import re
import time

import pytest

from service.concurrency.timings import RequestTimings
from service.errors import DeadlineError


def test_phases_add_up_and_keep_their_order() -> None:
    timings = RequestTimings()

    for name in ("decode", "encode", "decode"):
        with timings.measure(name):
            pass

    assert list(timings.seconds) == ["decode", "encode"]
    assert re.fullmatch(r"decode;dur=\d+\.\d\d, encode;dur=\d+\.\d\d", timings.server_timing())


def test_a_phase_that_fails_is_measured_too() -> None:
    timings = RequestTimings()

    with pytest.raises(ZeroDivisionError), timings.measure("encode"):
        1 / 0  # noqa: B018 - the failure is the point

    assert timings.seconds["encode"] >= 0


def test_no_phase_is_entered_after_the_deadline() -> None:
    timings = RequestTimings()
    timings.deadline.begin(0)

    with pytest.raises(DeadlineError), timings.measure("encode"):
        pytest.fail("entered")

    assert timings.seconds == {}


def test_the_span_of_a_phase_covers_all_its_times() -> None:
    timings = RequestTimings()

    for name in ("decode", "encode", "decode"):
        with timings.measure(name):
            pass

    (decode_start, decode_end), (encode_start, encode_end) = timings.spans.values()
    assert decode_start <= encode_start <= encode_end <= decode_end
    assert 0 <= timings.seconds["decode"] <= decode_end - decode_start


def test_a_time_that_is_added_ends_now_and_adds_up() -> None:
    timings = RequestTimings()

    before = time.perf_counter()
    timings.add("queue", 0.25)

    start, end = timings.spans["queue"]
    assert end - start == pytest.approx(0.25)
    assert before <= end <= time.perf_counter()
    timings.add("queue", 0.5)
    assert timings.server_timing() == "queue;dur=750.00"
