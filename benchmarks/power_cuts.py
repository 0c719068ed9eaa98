"""Power cuts at many points of real writes, in four models of what a disk keeps.

    make powercut STATES=1000

The states, about as many as wanted, are shared out over the workloads of `tests/powercut`: writes,
snapshots, backup, restore, embedding by another encoder, API keys, manifests and folders, SQLite's
log, and a second power cut while the library is opened after one. The exit code is 1 if one is
wrong.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import results
from powercut import tracing
from powercut.disk import MODELS
from powercut.power_cuts import Finding, cut, cut_again, points, scratch_folder
from powercut.recording import Task, Worker, record, running
from powercut.workloads import WORKLOADS
from tqdm import tqdm

STATES_A_RECORDING = 500
MOST_FINDINGS = 20


def main() -> None:
    """Cut, check and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=1000)
    n_states = parser.parse_args().states
    if reason := tracing.why_not():
        raise SystemExit(reason)
    logging.disable(logging.WARNING)
    findings: list[Finding] = []
    figures: dict[str, Any] = {}
    with running() as worker, tqdm(total=n_states, unit="state", disable=None) as bar:
        share = -(-n_states // (len(WORKLOADS) + 1))
        for name in WORKLOADS:
            figures[name], wrong = run(worker, name, share, bar)
            findings += wrong
        figures["recovery"], wrong = run_recovery(worker, share, bar)
        findings += wrong
    total = {
        "states": sum(row["states"] for row in figures.values()),
        "wrong": len(findings),
        "models": list(MODELS),
        "workloads": figures,
        "findings": [asdict(found) for found in findings[:MOST_FINDINGS]],
    }
    results.write("powercut", total)
    sys.exit(1 if findings else 0)


def run(
    worker: Worker, name: str, n_states: int, bar: tqdm[None]
) -> tuple[dict[str, int], list[Finding]]:
    """Check about a number of states of one workload; return counts and what is wrong."""
    counts: Counter[str] = Counter(states=0)
    findings = []
    n_recordings = max(1, n_states // STATES_A_RECORDING)
    for seed in range(n_recordings):
        n_wanted = n_states // n_recordings + (seed < n_states % n_recordings)
        with scratch_folder() as folder:
            task = Task(name, folder / "task", seed=seed)
            log = record(worker, task)
        after = points(log, max(2, n_wanted // len(MODELS)))
        # A short recording has fewer points than wanted; the models that draw then draw more often.
        n_draws = max(1, -(-(n_wanted // len(after) - 2) // 2))
        counts.update(recordings=1, operations=len(log.operations))
        for found in cut(log, task, after, n_draws=n_draws):
            counts.update(states=1)
            bar.update()
            if found:
                findings.append(found)
    return {**counts, "wrong": len(findings)}, findings


def run_recovery(
    worker: Worker, n_states: int, bar: tqdm[None]
) -> tuple[dict[str, int], list[Finding]]:
    """Cut the power again during the start after a power cut; return as `run` does."""
    n_points = max(2, round((n_states / len(MODELS)) ** 0.5))
    with scratch_folder() as folder:
        task = Task("writes", folder / "task", seed=1)
        log = record(worker, task)
    n_checked, findings = 0, []
    for found in cut_again(worker, log, task, points(log, n_points), n_points=n_points):
        n_checked += 1
        bar.update()
        if found:
            findings.append(found)
    counts = {"recordings": n_points, "states": n_checked, "wrong": len(findings)}
    return counts, findings


if __name__ == "__main__":
    main()
