"""Measures which settings of the encoder are the fastest on this host.

The candidates for a setting run alternately, so that other load on the machine affects all of them
alike. Of candidates that are about equally fast the one that needs fewer threads, less memory or
smaller batches is chosen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.inference.encoder import Encoder
from service.inference.onnx_session import Tuning, n_cores

CLIP_S = 5.0
SHORT_CLIP_S = 1.0
BATCHES_S = (2.0, 5.0, 10.0, 20.0)
WORKLOAD_S = 40.0
"""Audio of a measurement with many clips [s]."""
MARGIN = 0.03
"""A candidate that needs more must be faster by this share."""

T = TypeVar("T", int, float, bool)
Candidates = Mapping[str, tuple[T, Callable[[], object]]]
"""Values by name, each with a call that runs the encoder; those that need the least come first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The value chosen for a setting, with the measurements.

    Attributes:
        setting: Name of the setting, as in `Settings`.
        value: Value of the setting, as in an environment variable.
        measured: Time of each candidate [ms].
        what: Description of the measurement.
    """

    setting: str
    value: str
    measured: dict[str, float]
    what: str

    def lines(self) -> list[str]:
        """Return the choice as lines of an environment file."""
        figures = ", ".join(
            f"{took_ms:.1f} ms with {name}" for name, took_ms in self.measured.items()
        )
        return [f"# {self.what}: {figures}", f"MINUEND_{self.setting.upper()}={self.value}"]


def tune(bundle: Bundle, *, seconds: float) -> Iterator[Choice]:
    """Yield one choice after another; each is measured with the values chosen before it.

    Args:
        bundle: Bundle whose encoder runs.
        seconds: Duration of each measurement [s].
    """
    one_clip = f"A clip of {CLIP_S:g} s alone"
    candidates = {f"{n} threads": (n, _encode_one(bundle, n, Tuning())) for n in powers(n_cores())}
    threads, choice = _choose("threads", one_clip, candidates, seconds)
    yield choice
    one_clip = f"{one_clip}, on {threads} threads"
    switched = {
        name: (value, _encode_one(bundle, threads, Tuning(spinning=value)))
        for name, value in (("waiting threads", False), ("spinning threads", True))
    }
    spinning, choice = _choose("spinning", one_clip, switched, seconds)
    yield choice
    switched = {
        name: (value, _encode_one(bundle, threads, Tuning(spinning=spinning, arena=value)))
        for name, value in (("memory given back", False), ("memory kept", True))
    }
    arena, choice = _choose("arena", one_clip, switched, seconds)
    yield choice
    tuning = Tuning(spinning=spinning, arena=arena)
    clips = f"{WORKLOAD_S:g} s of clips of {CLIP_S:g} s, in runs"
    runs, choice = _choose("runs", clips, _runs(bundle, threads, tuning), seconds)
    yield choice
    encoder = _open(bundle, threads, tuning, runs=runs)
    clips = f"{WORKLOAD_S:g} s of clips of {SHORT_CLIP_S:g} s"
    _, choice = _choose("batch_s", clips, _batches(encoder), seconds)
    yield choice


def interleaved_timing(
    candidates: Mapping[str, Callable[[], object]], *, seconds: float
) -> dict[str, float]:
    """Call the candidates alternately and return the median time of each [ms]."""
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
    """Return the first candidate that is within `MARGIN` of the fastest."""
    best = min(measured.values())
    return next(name for name, took_ms in measured.items() if took_ms <= best * (1 + MARGIN))


def powers(most: int) -> list[int]:
    """Return the powers of two below `most`, and `most`."""
    return [*(2**n for n in range(most.bit_length()) if 2**n < most), most]


def _choose(setting: str, what: str, candidates: Candidates[T], seconds: float) -> tuple[T, Choice]:
    """Measure candidates for a setting; return the chosen value and its description."""
    calls = {name: call for name, (_, call) in candidates.items()}
    measured = interleaved_timing(calls, seconds=seconds)
    value, _ = candidates[cheapest_within_margin(measured)]
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return value, Choice(setting, text, measured, what)


def _runs(bundle: Bundle, threads: int, tuning: Tuning) -> Candidates[int]:
    candidates = {}
    for runs in powers(threads):
        encoder = _open(bundle, threads, tuning, runs=runs)
        batches = [[_clip(encoder, CLIP_S, seed)] for seed in range(int(WORKLOAD_S / CLIP_S))]
        candidates[f"{runs} at once"] = (runs, partial(_encode_all, encoder, batches))
    return candidates


def _batches(encoder: Encoder) -> Candidates[float]:
    clip = _clip(encoder, SHORT_CLIP_S)
    candidates = {}
    for batch_s in BATCHES_S:
        batches = [[clip] * int(batch_s / SHORT_CLIP_S)] * int(WORKLOAD_S / batch_s)
        candidates[f"{batch_s:g} s in a run"] = (batch_s, partial(_encode_all, encoder, batches))
    return candidates


def _open(bundle: Bundle, threads: int, tuning: Tuning, *, runs: int = 1) -> Encoder:
    return Encoder.open(bundle, device="cpu", threads=threads, runs=runs, tuning=tuning)


def _clip(encoder: Encoder, duration_s: float, seed: int = 0) -> Float32[np.ndarray, " samples"]:
    n_samples = round(duration_s * encoder.sample_rate)
    return 0.1 * np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32)


def _encode_one(bundle: Bundle, threads: int, tuning: Tuning) -> Callable[[], object]:
    encoder = _open(bundle, threads, tuning)
    return partial(encoder.run, [_clip(encoder, CLIP_S)], "embedding")


def _encode_all(encoder: Encoder, batches: list[list[np.ndarray]]) -> None:
    """Encode batches, with as many runs at once as the encoder was opened for."""
    encode = partial(encoder.run, output="embedding", all_threads=encoder.runs == 1)
    with ThreadPoolExecutor(encoder.runs) as threads:
        for _ in threads.map(encode, batches):
            pass
