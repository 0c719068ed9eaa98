"""Fuzzing of the decoders: mutated files in child processes, so that a crash is a finding.

A finding is a crash, a hang, an unexpected exception, too much time or memory, or a result that no
decoder may give. The input of a finding is `decoder_mutation.make_input(seed, number)`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from decoder_fuzz_worker import BOARD_BYTES, DONE, FORMS, OUTCOMES, STARTING, Range, open_board
from decoder_mutation import make_input

WORKER = Path(__file__).parent / "decoder_fuzz_worker.py"
HANG_S = 60.0
"""Time of one input after which its worker is ended; the machine may be busy [s]."""
POLL_S = 0.1


@dataclass(frozen=True)
class Finding:
    """An input that was not handled well.

    Attributes:
        seed: Seed of the input.
        number: Its number.
        finding: What happened.
    """

    seed: int
    number: int
    finding: str

    def save(self, folder: Path) -> Path:
        """Write the input to a folder and return its path."""
        form, data = make_input(self.seed, self.number)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.seed}-{self.number}.{form.lower()}"
        path.write_bytes(data)
        return path


@dataclass
class Report:
    """What came of the inputs.

    Attributes:
        counts: Inputs by container and outcome [forms outcomes].
        findings: Inputs that were not handled well.
        seconds: Duration [s].
        slowest_s: Longest processor time of one input [s].
        growth_bytes: Largest growth of the peak memory by one input [bytes].
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros((len(FORMS), len(OUTCOMES)), int))
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    slowest_s: float = 0.0
    growth_bytes: int = 0

    @property
    def n_inputs(self) -> int:
        """Inputs with an outcome."""
        return int(self.counts.sum())

    def by_form(self) -> dict[str, dict[str, int]]:
        """Return the counts by container and outcome, without zeros."""
        return {
            form: {name: int(n) for name, n in zip(OUTCOMES, row, strict=True) if n}
            for form, row in zip(FORMS, self.counts, strict=True)
        }


def fuzz(seed: int, n_inputs: int, *, workers: int, seconds: float = 1e9) -> Report:
    """Decode mutated files in several processes.

    Args:
        seed: Seed of the inputs.
        n_inputs: Number of inputs.
        workers: Number of processes.
        seconds: Time after which no other input is begun [s].
    """
    report, start = Report(), time.monotonic()
    with TemporaryDirectory() as folder:
        running = [
            _Worker(Path(folder) / str(n), Range(seed, n, workers, n_inputs))
            for n in range(workers)
        ]
        is_working = True
        while is_working and time.monotonic() - start < seconds:
            time.sleep(POLL_S)
            is_working = sum(worker.is_working() for worker in running) > 0
        for worker in running:
            report.findings += worker.stop()
            report.counts += worker.counts
            report.slowest_s = max(report.slowest_s, worker.numbers[1] / 1e6)
            report.growth_bytes = max(report.growth_bytes, int(worker.numbers[2]))
    report.seconds = time.monotonic() - start
    return report


class _Worker:
    """A process that decodes inputs, started again after each that ends it."""

    def __init__(self, board: Path, inputs: Range) -> None:
        board.write_bytes(bytes(BOARD_BYTES))
        self._board, self._inputs = board, inputs
        self.numbers, self.counts = open_board(board)
        self._findings: list[Finding] = []
        self._start(inputs)

    def _start(self, inputs: Range) -> None:
        self.numbers[0] = STARTING
        self._seen, self._since = STARTING, time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self._board), json.dumps(asdict(inputs))],
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def is_working(self) -> bool:
        """Tell whether inputs are left; note what has happened since the last call."""
        self._findings += self._read_findings()
        number = int(self.numbers[0])
        if (code := self._process.poll()) is not None:
            self._findings += self._read_findings()
            if number == DONE:
                return False
            if number == STARTING:
                raise RuntimeError(f"a worker does not start: exit code {code}")
            return self._go_on(number, f"crash: exit code {code}")
        if number != self._seen:
            self._seen, self._since = number, time.monotonic()
        elif number != STARTING and time.monotonic() - self._since > HANG_S:
            self._process.kill()
            self._process.wait()
            return self._go_on(number, f"hang: {HANG_S:g} s")
        return True

    def _go_on(self, number: int, finding: str) -> bool:
        self._findings.append(Finding(self._inputs.seed, number, finding))
        self._close()
        inputs = self._inputs
        self._start(Range(inputs.seed, number + inputs.step, inputs.step, inputs.end))
        return True

    def _read_findings(self) -> Iterator[Finding]:
        assert self._process.stdout is not None
        for line in self._process.stdout.readlines():
            yield Finding(seed=self._inputs.seed, **json.loads(line))

    def _close(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> list[Finding]:
        """End the process and return the findings."""
        self._process.kill()
        self._process.wait()
        self._findings += self._read_findings()
        self._close()
        return self._findings
