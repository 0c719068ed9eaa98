"""Decodes mutated files in one confined process; see `decoder_fuzzer`.

    python decoder_fuzz_worker.py BOARD '{"seed": 0, "first": 0, "step": 2, "end": 1000}'

The board is a file that it shares with the process that watches it: the number of the input that is
being decoded, and the counts of outcomes. Findings are lines of JSON on standard output, to which
the libraries cannot write.
"""

from __future__ import annotations

import gc
import io
import json
import mmap
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import decoder_corpus
import decoder_mutation
import numpy as np

from service.audio import decoder_process, sandbox
from service.audio.decoding import MAX_AMPLITUDE, Audio, AudioLimits, decode
from service.audio.errors import (
    AudioError,
)

LIMITS = AudioLimits(max_seconds=30, max_samples=1_000_000)
MAX_CPU_S = 2.0
"""Processor time of one input, above which it is a finding [s]."""
MAX_GROWTH_BYTES = 128 << 20
"""Growth of the peak memory by one input, above which it is a finding [bytes]."""
MAX_SAMPLES_PER_BYTE = 9
"""Codecs of constant bit rate give at most 8 samples a byte; more is made up by the decoder."""
CONSTANT_RATE = ("audio/wav", "audio/x-w64", "audio/basic")

FORMS = (*decoder_corpus.FORMS, "mp4", "adts")
OUTCOMES = ("decoded", *sorted(kind.code for kind in AudioError.__subclasses__()))
_FINDINGS, _STATUS = 10, 11  # descriptors
STARTING, DONE = -2, -1
"""Numbers of the current input before the first one and after the last one."""
NUMBERS = ("current", "slowest_us", "growth_bytes")
"""Of a board: the input of now, the longest processor time, the largest growth of the memory."""
BOARD_BYTES = 8 * (len(NUMBERS) + len(FORMS) * len(OUTCOMES))


@dataclass(frozen=True)
class Range:
    """The inputs of a worker.

    Attributes:
        seed: Seed of all inputs.
        first: Number of the first one.
        step: Distance to the next one.
        end: Number before which it ends.
    """

    seed: int
    first: int
    step: int
    end: int


def open_board(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the `NUMBERS` and the counts [forms outcomes] of a board."""
    with path.open("r+b") as file:
        values = np.frombuffer(mmap.mmap(file.fileno(), BOARD_BYTES), np.int64)
    return values[: len(NUMBERS)], values[len(NUMBERS) :].reshape(len(FORMS), len(OUTCOMES))


def main(board: Path, inputs: Range) -> None:
    """Decode the inputs, and write the findings to standard output."""
    numbers, counts = open_board(board)
    seccomp = sandbox.open_seccomp()
    os.dup2(1, _FINDINGS)
    os.dup2(os.open("/proc/self/status", os.O_RDONLY), _STATUS)
    for stream in (1, 2):  # the messages of libsndfile
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    warm_up()
    os.closerange(_STATUS + 1, 1000)
    sandbox.confine(1_000_000, os.getppid(), seccomp)
    for number in range(inputs.first, inputs.end, inputs.step):
        numbers[0] = number
        if number % 8 < inputs.step:
            gc.collect()  # the callbacks of earlier files; see `decoder_process.warm_up`
        form, data = decoder_mutation.make_input(inputs.seed, number)
        before_s, before = time.process_time(), peak_bytes()
        outcome, findings = try_input(data)
        used_s, grown = time.process_time() - before_s, peak_bytes() - before
        numbers[1:] = np.maximum(numbers[1:], [int(1e6 * used_s), grown])
        if used_s > MAX_CPU_S:
            findings.append(f"slow: {used_s:.1f} s")
        if grown > MAX_GROWTH_BYTES:
            findings.append(f"memory: {grown >> 20} MiB more")
        if outcome:
            counts[FORMS.index(form), OUTCOMES.index(outcome)] += 1
        for finding in findings:
            line = json.dumps({"number": number, "finding": finding}) + "\n"
            os.write(_FINDINGS, line.encode())
    numbers[0] = DONE


def warm_up() -> None:
    """Make and decode the corpus; a confined process can neither load nor open anything."""
    decoder_process.warm_up()
    for form in decoder_mutation.names():
        for name in decoder_mutation.names()[form]:
            for seconds, rate in decoder_mutation.SOUNDS:
                decode(io.BytesIO(decoder_corpus.make(name, seconds, rate)), sample_rate=16_000)
    for number in range(200):
        try_input(decoder_mutation.make_input(0, number)[1])
    gc.collect()
    gc.freeze()


def try_input(data: bytes) -> tuple[str, list[str]]:
    """Decode an input; return its outcome, empty for an unexpected error, and the findings."""
    try:
        audio = decode(io.BytesIO(data), sample_rate=16_000, limits=LIMITS)
    except AudioError as error:
        return error.code, []
    except Exception as error:
        return "", [f"exception: {error!r}"[:300]]
    return "decoded", faults(audio, len(data))


def faults(audio: Audio, n_bytes: int) -> list[str]:
    """Return what is wrong with the result of decoding."""
    found = []
    samples = audio.samples
    if samples.dtype != np.float32 or not 1 <= samples.size <= LIMITS.max_samples:
        found.append(f"samples: {samples.dtype} {samples.size}")
    if not np.abs(samples).max(initial=0) <= 4 * MAX_AMPLITUDE:  # also true of NaN
        found.append(f"amplitude: {np.abs(samples).max(initial=0)}")
    if not 0 < audio.duration_s <= LIMITS.max_seconds:
        found.append(f"duration: {audio.duration_s}")
    n_decoded = audio.duration_s * audio.source_rate_hz * audio.source_channels
    if audio.media_type in CONSTANT_RATE and n_decoded > MAX_SAMPLES_PER_BYTE * (n_bytes + 1000):
        found.append(f"made up: {n_decoded:.0f} samples of {n_bytes} bytes, {audio.media_type}")
    return found


def peak_bytes() -> int:
    """Return the largest memory of this program so far [bytes].

    That of `getrusage` starts with the memory of the process that started this one.
    """
    (found,) = re.findall(rb"VmHWM:\s+(\d+) kB", os.pread(_STATUS, 1 << 16, 0))
    return 1024 * int(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Range(**json.loads(sys.argv[2])))
