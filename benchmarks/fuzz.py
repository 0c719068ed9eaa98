"""Decoding of mutated files, in child processes.

    python benchmarks/fuzz.py [INPUTS]

Each input is a file of the kept corpus (`tests/decoder_corpus.py`) that was mutated; a seed and its
number determine it. The inputs of findings are written to ``runs/fuzz``. The exit code is 1 if
there are any.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict

import results
import soundfile

sys.path.insert(0, str(results.ROOT / "tests"))

from decoder_fuzz_worker import LIMITS, MAX_CPU_S, MAX_GROWTH_BYTES
from decoder_fuzzer import fuzz

SEED = 1
INPUTS = 1_000_000


def main() -> None:
    """Fuzz and write ``docs/results/fuzz.json``."""
    n_inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    workers = len(os.sched_getaffinity(0))
    report = fuzz(SEED, n_inputs, workers=workers)
    for finding in report.findings:
        finding.save(results.ROOT / "runs" / "fuzz")
    results.write(
        "fuzz",
        {
            "libsndfile": soundfile.__libsndfile_version__,
            "seed": SEED,
            "inputs": report.n_inputs,
            "seconds": round(report.seconds, 1),
            "inputs_per_s": round(report.n_inputs / report.seconds),
            "workers": workers,
            "limits": {
                **asdict(LIMITS),
                "cpu_s": MAX_CPU_S,
                "memory_growth_mib": MAX_GROWTH_BYTES >> 20,
            },
            "slowest_input_cpu_s": round(report.slowest_s, 3),
            "largest_memory_growth_mib": round(report.growth_bytes / 2**20, 1),
            "outcomes": report.by_form(),
            "findings": [asdict(finding) for finding in report.findings],
        },
    )
    sys.exit(bool(report.findings))


if __name__ == "__main__":
    main()
