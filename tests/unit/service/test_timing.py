from __future__ import annotations

import re
import time

import pytest

from service.errors import DeadlineError
from service.timing import Phases


def test_phases_add_up_and_keep_their_order() -> None:
    phases = Phases()

    for name in ("decode", "encode", "decode"):
        with phases.measure(name):
            pass

    assert list(phases.seconds) == ["decode", "encode"]
    assert re.fullmatch(r"decode;dur=\d+\.\d\d, encode;dur=\d+\.\d\d", phases.server_timing())


def test_a_phase_that_fails_is_measured_too() -> None:
    phases = Phases()

    with pytest.raises(ZeroDivisionError), phases.measure("encode"):
        1 / 0  # noqa: B018 - the failure is the point

    assert phases.seconds["encode"] >= 0


def test_no_phase_is_entered_once_the_answer_is_not_wanted() -> None:
    phases = Phases()
    phases.patience.begin(0)

    with pytest.raises(DeadlineError), phases.measure("encode"):
        pytest.fail("entered")

    assert phases.seconds == {}


def test_time_may_be_added_to_a_phase() -> None:
    phases = Phases()

    phases.add("queue", 0.25)
    phases.add("queue", 0.5)

    assert phases.server_timing() == "queue;dur=750.00"


def test_a_phase_spans_all_times_it_was_entered() -> None:
    phases = Phases()

    for name in ("decode", "encode", "decode"):
        with phases.measure(name):
            pass

    (decode_start, decode_end), (encode_start, encode_end) = phases.spans.values()
    assert decode_start <= encode_start <= encode_end <= decode_end
    assert 0 <= phases.seconds["decode"] <= decode_end - decode_start


def test_time_that_is_added_ends_now() -> None:
    phases = Phases()

    before = time.perf_counter()
    phases.add("queue", 0.25)

    start, end = phases.spans["queue"]
    assert end - start == pytest.approx(0.25)
    assert before <= end <= time.perf_counter()
