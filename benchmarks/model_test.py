"""The model test over the real server, for many operations: `make torture OPS=200000 SEED=1`.

    PYTHONPATH=tests .venv/dev/bin/python benchmarks/model_test.py [OPERATIONS] [SEED]

Clients write, read, search and break off their requests while servers are killed and stopped, and
libraries are backed up, restored, re-embedded and imported (`tests/torture`). A finding ends the
run; it and the last operations are then in ``build/torture.jsonl``.
"""

from __future__ import annotations

import sys

import results
from torture.run import Plan, temporary_run
from tqdm import tqdm

HISTORY = results.ROOT / "build" / "torture.jsonl"


def main() -> int:
    """Run the test and write ``docs/results/torture.json`` if nothing was lost or wrong."""
    given = [int(word) for word in sys.argv[1:]]
    operations, seed = (*given, *(200_000, 1)[len(given) :])
    plan = Plan(seed, operations)
    with tqdm(total=operations, unit="op", disable=None) as bar:
        report = temporary_run(plan, on_operation=bar.update)
    if not report.findings:
        results.write("torture", {"seed": seed, **report.figures()})
        return 0
    HISTORY.parent.mkdir(exist_ok=True)
    report.save(HISTORY)
    for finding in report.findings:
        sys.stderr.write(f"{finding.kind}: {finding.key}: {finding.text}\n")
    sys.stderr.write(f"the last operations are in {HISTORY}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
