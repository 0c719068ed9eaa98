"""Speed of the variants of the encoder, relative to float32 in the same run.

    python benchmarks/precision.py [BUNDLE]

The variants encode the same clips alternately, in one thread. Times are processor times, since the
machine may be busy. The figures of the gate at export are included.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from functools import partial

import numpy as np
import results

from service.bundle.files import load_bundle
from service.inference.encoder import Encoder

ROUNDS = 20
BATCHES = {"one clip of 5 s": (1, 5.0), "four clips of 5 s": (4, 5.0), "one clip of 1 s": (1, 1.0)}


def main() -> None:
    """Measure and write ``docs/results/precision.json``."""
    bundle = load_bundle(results.bundle_path())
    variants = bundle.manifest.encoder.variants
    encoders = {
        opened.precision: Encoder.open(opened, device="cpu", threads=1)
        for opened in (bundle, *(replace(bundle, variant=variant) for variant in variants))
    }
    figures = {name: measure(encoders, *batch) for name, batch in BATCHES.items()}
    results.write(
        "precision",
        {
            "bundle": bundle.manifest.id,
            "fingerprint": bundle.manifest.encoder.fingerprint,
            "file_mb": {
                opened.precision: round(opened.encoder_file.stat().st_size / 1e6, 1)
                for opened in (bundle, *(replace(bundle, variant=v) for v in variants))
            },
            "times_as_fast_as_float32": figures,
            "gate": {variant.precision: variant.figures for variant in variants},
        },
        of_processor=True,
    )


def measure(encoders: dict[str, Encoder], n_clips: int, clip_s: float) -> dict[str, object]:
    """Measure the processor time of each encoder, and the median ratio of float32's time to it."""
    random = np.random.default_rng(0)
    clips = [
        random.uniform(-0.1, 0.1, int(clip_s * 16_000)).astype(np.float32) for _ in range(n_clips)
    ]
    runs = {name: partial(encoder.embed, clips) for name, encoder in encoders.items()}
    times = results.processor_times(runs, ROUNDS)
    reference = times["float32"]
    return {
        name: {
            "processor_ms": round(1e3 * statistics.median(values), 2),
            "ratio": round(
                statistics.median(r / v for r, v in zip(reference, values, strict=True)), 2
            ),
        }
        for name, values in times.items()
    }


if __name__ == "__main__":
    main()
