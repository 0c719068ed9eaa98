"""Clients write to the real server while it is killed, and nothing is lost or wrong.

`make torture` runs the same for 200,000 operations.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torture import faulty_server
from torture.client import OPERATIONS
from torture.faulty_server import FAULTS, LOST_AT_A_KILL
from torture.run import Plan, run

SEED = 1
SECONDS = 60.0
MOST_OPERATIONS_OF_A_FAULT = 6000

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_wrong_while_servers_are_killed(tmp_path: Path) -> None:
    report = run(Plan(SEED, seconds=SECONDS), tmp_path)
    if report.findings:
        report.save(tmp_path / "history.jsonl")
    assert report.findings == [], f"the history is in {tmp_path / 'history.jsonl'}"
    assert [name for name in OPERATIONS if not report.counts.get(name)] == []


@pytest.mark.parametrize("fault", [*FAULTS, LOST_AT_A_KILL])
def test_a_planted_fault_is_found(tmp_path: Path, fault: str) -> None:
    command = (sys.executable, "-P", str(faulty_server.__file__), fault)
    plan = Plan(
        SEED,
        MOST_OPERATIONS_OF_A_FAULT,
        command=command,
        interval=150,
        events=("kill",) if fault == LOST_AT_A_KILL else (),
    )
    assert run(plan, tmp_path).findings
