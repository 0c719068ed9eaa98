"""System calls fail, then no more: later writes succeed in the same process, and nothing is lost.

The calls are made to fail below Python and SQLite, so that both see what a failing disk gives them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest
from powercut import tracing
from powercut.faults import ERRORS, KINDS, LASTING, OTHERS, Fault, Tried, sweep
from powercut.recording import Worker, running

N_CALLS = 60
STRIDES = {"fsync": 3, "write": 4, "unlink": 2}
STRIDE_OF_OTHERS = 15
"""Every so manieth call of a kind fails; of kinds that are not named, each. `make faults` takes
every one."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    if reason := tracing.why_not():
        pytest.skip(reason)
    with running() as process:
        yield process


def broken(tried: list[Tried]) -> dict[str, tuple[str, ...]]:
    return {str(one.fault): one.problems for one in tried if one.problems}


@pytest.mark.parametrize("kind", KINDS)
def test_after_one_failed_call_every_write_succeeds_and_nothing_is_lost(
    worker: Worker, kind: str
) -> None:
    numbers = range(1, N_CALLS + 1, STRIDES.get(kind, 1))
    errors = ERRORS[kind]
    faults = [Fault(kind, errors[n % len(errors)], number) for n, number in enumerate(numbers)]
    tried = list(sweep(worker, faults))
    assert any(one.has_struck for one in tried)
    assert broken(tried) == {}


@pytest.mark.parametrize("error", LASTING, ids=errno.errorcode.get)
@pytest.mark.parametrize("kind", ["open", "write"])
def test_after_a_while_of_a_failing_disk_every_write_succeeds_and_nothing_is_lost(
    worker: Worker, kind: str, error: int
) -> None:
    faults = [Fault(kind, error, number, n_steps=2) for number in range(1, N_CALLS + 1, 12)]
    tried = list(sweep(worker, faults))
    assert any(one.has_struck for one in tried)
    assert broken(tried) == {}


@pytest.mark.parametrize("workload", OTHERS)
def test_after_a_failed_call_backups_keys_and_bundles_are_whole(
    worker: Worker, workload: str
) -> None:
    faults = [
        Fault(kind, ERRORS[kind][0], number)
        for kind in KINDS
        for number in range(1, N_CALLS + 1, STRIDE_OF_OTHERS)
    ]
    tried = list(sweep(worker, faults, workload=workload))
    assert any(one.has_struck for one in tried)
    assert broken(tried) == {}
