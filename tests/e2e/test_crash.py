"""Kill a process that writes to a library: every acknowledged clip exists and is found."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path

import ingest_until_killed
import numpy as np
import pytest
from ingest_until_killed import Step, metadata_of, n_windows_of, plan
from tiny_library import (
    MEAN,
    make_bytes,
    make_embedding,
    make_windows,
    open_library,
    stored_files,
)

from service.difference import centre
from service.library.library import Library

N_KILLS = 50
# The kill comes within this time after at most so many writes; after none, during opening.
MOST_WRITES = 8
MOMENT_S = 0.03
N_READ_AGAIN = 20  # clips of earlier rounds, drawn again after each kill; all clips at the end

State = dict[str, int]


@pytest.fixture
def ingesters(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    # A process that forks must not have threads of its own.
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, ingest_until_killed.__file__, str(tmp_path / "library")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        yield process


def ingest_and_kill(
    ingesters: subprocess.Popen[str], round_: int, n_writes: int, delay_s: float
) -> int:
    """Let a process write, kill it, and return how many steps it acknowledged."""
    assert ingesters.stdin is not None
    assert ingesters.stdout is not None
    ingesters.stdin.write(f"{round_}\n")
    ingesters.stdin.flush()
    pid = int(ingesters.stdout.readline().removeprefix("pid "))
    for _ in range(n_writes):
        assert ingesters.stdout.readline() == "done\n"
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    return n_writes + sum(1 for _ in takewhile("done\n".__eq__, ingesters.stdout))


def applied(state: State, step: Step) -> State:
    merged = {**state, **step}
    return {name: seed for name, seed in merged.items() if seed is not None}


def listed(library: Library) -> State:
    """Return name and seed of every clip."""
    state: State = {}
    cursor: str | None = None
    while True:
        records, cursor = library.page(cursor, 1000)
        state |= {record.id: int(str(record.metadata["seed"])) for record in records}
        if cursor is None:
            return state


def assert_complete(library: Library, name: str, seed: int) -> None:
    """Check that a clip is the first hit of its own embeddings, and that its audio is complete."""
    (hit,) = library.search(centre(make_embedding(seed), MEAN), 1)
    assert (hit.record.id, hit.record.metadata) == (name, metadata_of(seed))
    n_windows = n_windows_of(seed)
    assert hit.record.windows == n_windows
    for n, embedding in enumerate(make_windows(seed, n_windows).embeddings if n_windows else ()):
        (part,) = library.search(centre(embedding, MEAN), 1)
        assert (part.record.id, part.start_s, part.end_s) == (name, 5.0 * n, 5.0 * n + 10)
    content = library.audio_path(name).read_bytes()
    assert content == make_bytes(seed)
    assert hit.record.sha256 == hashlib.sha256(content).hexdigest()


def audio_name(seed: int) -> str:
    digest = hashlib.sha256(make_bytes(seed)).hexdigest()
    return f"audio/{digest[:2]}/{digest}.wav"


@pytest.mark.e2e
def test_every_acknowledged_clip_survives_fifty_kills(
    tmp_path: Path, ingesters: subprocess.Popen[str]
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "library"
    open_library(path).close()
    state: State = {}
    files: dict[int, str] = {}
    for round_ in range(N_KILLS):
        n_writes, delay_s = int(rng.integers(MOST_WRITES + 1)), rng.uniform(0.0, MOMENT_S)
        n_done = ingest_and_kill(ingesters, round_, n_writes, delay_s)
        *done, interrupted = islice(plan(round_), n_done + 1)
        before = state
        for step in done:
            state = applied(state, step)

        library = open_library(path, create=False)
        found = listed(library)
        assert found in (state, applied(state, interrupted))
        state = found
        files = {seed: files.get(seed) or audio_name(seed) for seed in state.values()}
        assert stored_files(path) == set(files.values())
        assert len(list((path / "tmp").iterdir())) == 1, "its own, none of the dead"
        fresh = [name for name in state if name not in before]
        for name in fresh + rng.permutation(list(state))[:N_READ_AGAIN].tolist():
            assert_complete(library, name, state[name])
        library.close()

    library = open_library(path, create=False)
    for name, seed in state.items():
        assert_complete(library, name, seed)
    library.close()
