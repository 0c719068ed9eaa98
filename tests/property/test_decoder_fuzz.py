"""Mutated files of every format: each is decoded or refused, in bounded time and memory.

`make fuzz N=1000000` does the same with other seeds and writes docs/results/fuzz.json.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import decoder_corpus
import decoder_mutation
import pytest
from decoder_fuzzer import FORMS, Finding, fuzz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

SEED = 21
SECONDS = 30.0


@pytest.mark.timeout(240)
def test_mutated_files_cause_no_crash_no_hang_and_no_other_error() -> None:
    workers = len(os.sched_getaffinity(0))
    report = fuzz(SEED, 10**9, workers=workers, seconds=SECONDS)
    assert report.findings == []
    assert [form for form, n in zip(FORMS, report.counts.sum(axis=1), strict=True) if n] == [
        form for form in FORMS if form in decoder_mutation.names()
    ]


@pytest.mark.parametrize("trouble", ["crash", "hang", "exception", "memory", "slow"])
def test_the_fuzzer_finds(trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds decoders that are broken on purpose."""
    broken = {
        "crash": "ctypes.string_at(1)",
        "hang": "while True: pass",
        "exception": "raise KeyError(3)",
        "memory": "bytearray(200 << 20)",
        "slow": "begun = time.process_time()\n        while time.process_time() < begun + 1: pass",
    }[trouble]
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import ctypes, json, sys, time\n"
        "from pathlib import Path\n"
        "import decoder_fuzz_worker as worker\n"
        "worker.MAX_CPU_S = 0.5\n"
        "decode, confine = worker.decode, worker.sandbox.confine\n"
        "def break_one(source, **options):\n"
        "    if source.getbuffer()[:4] == b'fLaC' and worker.started:\n"
        f"        {broken}\n"
        "    return decode(source, **options)\n"
        "def confine_and_start(*options):\n"
        "    worker.started = True\n"
        "    return confine(*options)\n"
        "worker.started = False\n"
        "worker.sandbox.confine, worker.decode = confine_and_start, break_one\n"
        "worker.main(Path(sys.argv[1]), worker.Range(**json.loads(sys.argv[2])))\n"
    )
    monkeypatch.setattr("decoder_fuzzer.WORKER", worker)
    monkeypatch.setattr("decoder_fuzzer.HANG_S", 4.0 if trouble == "hang" else 60.0)
    first = next(n for n in range(1000) if decoder_mutation.make_input(3, n)[1][:4] == b"fLaC")

    report = fuzz(3, first + 3, workers=1)

    assert report.findings[0].number == first
    assert report.findings[0].finding.startswith(trouble)
    assert report.n_inputs >= first  # it goes on after the finding
    saved = report.findings[0].save(tmp_path / "found")
    assert saved.read_bytes() == decoder_mutation.make_input(3, first)[1]


def test_inputs_are_determined_by_their_numbers() -> None:
    inputs = [decoder_mutation.make_input(1, number) for number in range(200)]
    assert inputs == [decoder_mutation.make_input(1, number) for number in range(200)]
    assert len({data for _, data in inputs}) > 150
    unchanged = {decoder_corpus.make(name) for name in decoder_corpus.names()}
    assert sum(data in unchanged for _, data in inputs) < 10
    assert Finding(1, 5, "crash").number == 5
