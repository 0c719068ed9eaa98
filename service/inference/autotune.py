"""Finds the settings under which this host encodes fastest, by trying them against each other.

Candidates take turns, so that whatever else the machine does hits all of them alike. Where two are
as good as equal the one that takes less wins: fewer threads, less memory, smaller batches.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from service.bundle.files import Bundle
from service.inference.encoder import Encoder
from service.inference.onnx_session import Tuning, n_cores

CLIP_S = 5.0
SHORT_CLIP_S = 1.0
BATCHES_S = (2.0, 5.0, 10.0, 20.0)
JOB_S = 40.0
"""Audio of one job of many clips [s]."""
MARGIN = 0.03
"""By what share a candidate must be faster to be worth what it takes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting, and the figures that chose it.

    Attributes:
        setting: Its name, as in `Settings`.
        value: Its value, as in the environment.
        measured: What each candidate took [ms].
        what: What was measured.
    """

    setting: str
    value: str
    measured: dict[str, float]
    what: str

    def lines(self) -> list[str]:
        """Return it as lines of an environment file."""
        figures = ", ".join(
            f"{took_ms:.1f} ms with {name}" for name, took_ms in self.measured.items()
        )
        return [f"# {self.what}: {figures}", f"MINUEND_{self.setting.upper()}={self.value}"]


def tune(bundle: Bundle, *, seconds: float) -> Iterator[Choice]:
    """Yield the choices in turn; each is measured with those before it.

    Args:
        bundle: Whose encoder runs.
        seconds: How long to measure for each [s].
    """
    race_for = partial(interleaved_timing, seconds=seconds)
    threads, choice = _choose_threads(bundle, race_for)
    yield choice
    spinning, choice = _choose_spinning(bundle, threads, race_for)
    yield choice
    arena, choice = _choose_arena(bundle, threads, race_for, spinning=spinning)
    yield choice
    tuning = Tuning(spinning=spinning, arena=arena)
    runs, choice = _choose_runs(bundle, threads, race_for, tuning)
    yield choice
    yield _choose_batch(_open(bundle, threads, tuning, runs=runs), race_for)


Race = Callable[[Mapping[str, Callable[[], object]]], dict[str, float]]


def interleaved_timing(
    candidates: Mapping[str, Callable[[], object]], *, seconds: float
) -> dict[str, float]:
    """Let candidates take turns and return how long each took, the median [ms]."""
    for call in candidates.values():
        call()
    took: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not all(took.values()):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            took[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(times) for name, times in took.items()}


def cheapest_within_margin(measured: Mapping[str, float]) -> str:
    """Return the first candidate that is as good as the best; they come the cheapest first."""
    best = min(measured.values())
    return next(name for name, took_ms in measured.items() if took_ms <= best * (1 + MARGIN))


def powers(most: int) -> list[int]:
    """Return the powers of two below `most`, and `most`."""
    return [*(2**n for n in range(most.bit_length()) if 2**n < most), most]


def _open(bundle: Bundle, threads: int, tuning: Tuning, *, runs: int = 1) -> Encoder:
    return Encoder.open(bundle, device="cpu", threads=threads, runs=runs, tuning=tuning)


def _clip(encoder: Encoder, duration_s: float, seed: int = 0) -> np.ndarray:
    n_samples = round(duration_s * encoder.sample_rate)
    return 0.1 * np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32)


def _lone(encoder: Encoder) -> Callable[[], object]:
    return partial(encoder.run, [_clip(encoder, CLIP_S)], "embedding")


def _choose_threads(bundle: Bundle, race_for: Race) -> tuple[int, Choice]:
    names = {f"{n} threads": n for n in powers(n_cores())}
    measured = race_for({name: _lone(_open(bundle, n, Tuning())) for name, n in names.items()})
    threads = names[cheapest_within_margin(measured)]
    what = f"A clip of {CLIP_S:g} s alone"
    return threads, Choice("threads", str(threads), measured, what)


def _choose_spinning(bundle: Bundle, threads: int, race_for: Race) -> tuple[bool, Choice]:
    names = {"waiting threads": False, "spinning threads": True}
    candidates = {
        name: _lone(_open(bundle, threads, Tuning(spinning=spinning)))
        for name, spinning in names.items()
    }
    measured = race_for(candidates)
    spinning = names[cheapest_within_margin(measured)]
    what = f"A clip of {CLIP_S:g} s alone, on {threads} threads"
    return spinning, Choice("spinning", str(spinning).lower(), measured, what)


def _choose_arena(
    bundle: Bundle, threads: int, race_for: Race, *, spinning: bool
) -> tuple[bool, Choice]:
    names = {"memory given back": False, "memory kept": True}
    candidates = {
        name: _lone(_open(bundle, threads, Tuning(spinning=spinning, arena=arena)))
        for name, arena in names.items()
    }
    measured = race_for(candidates)
    arena = names[cheapest_within_margin(measured)]
    what = f"A clip of {CLIP_S:g} s alone, on {threads} threads"
    return arena, Choice("arena", str(arena).lower(), measured, what)


def _choose_runs(
    bundle: Bundle, threads: int, race_for: Race, tuning: Tuning
) -> tuple[int, Choice]:
    names = {f"{n} at once": n for n in powers(threads)}
    candidates: dict[str, Callable[[], object]] = {}
    for name, runs in names.items():
        encoder = _open(bundle, threads, tuning, runs=runs)
        clips = [[_clip(encoder, CLIP_S, seed)] for seed in range(int(JOB_S / CLIP_S))]
        candidates[name] = partial(_run_all, encoder, clips)
    measured = race_for(candidates)
    runs = names[cheapest_within_margin(measured)]
    what = f"{JOB_S:g} s of clips of {CLIP_S:g} s, in runs"
    return runs, Choice("runs", str(runs), measured, what)


def _choose_batch(encoder: Encoder, race_for: Race) -> Choice:
    clip = _clip(encoder, SHORT_CLIP_S)
    names = {f"{batch_s:g} s in a run": batch_s for batch_s in BATCHES_S}
    candidates = {}
    for name, batch_s in names.items():
        n_clips = int(batch_s / SHORT_CLIP_S)
        batches = [[clip] * n_clips] * int(JOB_S / batch_s)
        candidates[name] = partial(_run_all, encoder, batches)
    measured = race_for(candidates)
    batch_s = names[cheapest_within_margin(measured)]
    what = f"{JOB_S:g} s of clips of {SHORT_CLIP_S:g} s"
    return Choice("batch_s", f"{batch_s:g}", measured, what)


def _run_all(encoder: Encoder, batches: list[list[np.ndarray]]) -> None:
    """Run batches, as many at once as the encoder is made for."""
    alone = encoder.runs == 1
    with ThreadPoolExecutor(encoder.runs) as threads:
        runs = [threads.submit(encoder.run, it, "embedding", alone=alone) for it in batches]
    for run in runs:
        run.result()
