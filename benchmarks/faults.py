"""System calls that fail once or for a while: later writes succeed, and nothing is lost.

    make faults CALLS=60

Each of the first CALLS calls of each kind fails with each error that fits it, for one call, and for
three steps where the error is of a disk that is full or read-only. The exit code is 1 if a write
failed afterwards or was lost.
"""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from collections.abc import Iterator
from typing import Any

import results
from powercut import tracing
from powercut.faults import ERRORS, LASTING, OTHERS, Fault, sweep
from powercut.recording import running
from tqdm import tqdm

MOST_FINDINGS = 20
N_STEPS = 3


def main() -> None:
    """Try all faults and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    n_calls = parser.parse_args().calls
    if reason := tracing.why_not():
        raise SystemExit(reason)
    logging.disable(logging.WARNING)
    kinds: dict[str, dict[str, int]] = {}
    findings: list[dict[str, Any]] = []
    with running() as worker:
        for workload in ("writes", *OTHERS):
            bar = tqdm(list(faults(n_calls)), desc=workload, unit="fault", disable=None)
            for tried in sweep(worker, bar, workload=workload):
                fault = tried.fault
                name = f"{workload}: {fault.kind} {errno.errorcode[fault.error]}"
                row = kinds.setdefault(name, {"once": 0, "lasting": 0, "wrong": 0})
                row["lasting" if fault.n_steps else "once"] += tried.has_struck
                row["wrong"] += bool(tried.problems)
                if tried.problems:
                    findings.append(
                        {"workload": workload, "fault": str(fault), "problems": tried.problems}
                    )
    total = {
        "faults": sum(row["once"] + row["lasting"] for row in kinds.values()),
        "wrong": len(findings),
        "kinds": kinds,
        "findings": findings[:MOST_FINDINGS],
    }
    results.write("faults", total)
    sys.exit(1 if findings else 0)


def faults(n_calls: int) -> Iterator[Fault]:
    """Yield every fault of the first calls of each kind."""
    for kind, errors in ERRORS.items():
        for error in errors:
            for n_steps in (0, N_STEPS) if error in LASTING else (0,):
                for number in range(1, n_calls + 1):
                    yield Fault(kind, error, number, n_steps)


if __name__ == "__main__":
    main()
