"""The corruption matrix: damaged libraries, backups and bundles, and what becomes of them.

    make corruption N=2000

Single bits, sectors and whole files of the catalogue, its log, the snapshot of the index, the
audio, a backup and a bundle are damaged in turn. The exit code is 1 if something wrong is served,
or is lost without a word.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import results
from powercut.corruption import TARGETS, Damaged, Matrix
from powercut.power_cuts import scratch_folder
from tqdm import tqdm

MOST_FINDINGS = 20


def main() -> None:
    """Damage, judge and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=2000)
    n_states = parser.parse_args().states
    logging.disable(logging.ERROR)
    table: dict[str, Counter[str]] = {target: Counter() for target in TARGETS}
    wrong: list[Damaged] = []
    with scratch_folder() as folder, tqdm(total=n_states, unit="state", disable=None) as bar:
        matrix = Matrix(folder)
        for index, target in enumerate(TARGETS):
            share = n_states // len(TARGETS) + (index < n_states % len(TARGETS))
            seed = 0
            while table[target].total() < share:
                seed += 1
                if (damaged := matrix.draw(target, seed)) is not None:
                    table[target][damaged.verdict] += 1
                    bar.update()
                    wrong += [damaged] if damaged.verdict == "wrong" else []
    figures: dict[str, Any] = {
        "states": n_states,
        "wrong": len(wrong),
        "targets": table,
        "findings": [asdict(one) for one in wrong[:MOST_FINDINGS]],
    }
    results.write("corruption", figures)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
