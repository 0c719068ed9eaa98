from __future__ import annotations

import os
import signal
import threading

import pytest

from training.pretraining.stopping import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_noted_and_a_second_one_acts_as_before(number: signal.Signals) -> None:
    outside: list[int] = []
    before = signal.signal(number, lambda received, _: outside.append(received))
    try:
        with StopSignals() as signals:
            assert signals.received is None
            os.kill(os.getpid(), number)
            assert signals.received == number
            assert not outside
            os.kill(os.getpid(), number)
        assert outside == [number]
    finally:
        signal.signal(number, before)


def test_the_handlers_are_those_of_before_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with StopSignals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in numbers] == before


def test_in_another_thread_it_does_nothing() -> None:
    found = []

    def run() -> None:
        with StopSignals() as signals:
            found.append(signals.received)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]
