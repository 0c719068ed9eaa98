"""Search for an added sound by a mixture, and by its difference from a reference.

    python benchmarks/demo_difference.py

For all ordered pairs A, B of the demo library, two queries are compared: the mixture A + B, and the
mixture minus B. A and B are not among the candidates. Counts how often the nearest clip is of the
kind of A.
"""

from __future__ import annotations

import numpy as np
import results

from service.audio.decoding import decode
from service.bundle.files import load_bundle
from service.difference import centre, difference_query
from service.inference.encoder import Encoder


def main() -> None:
    """Measure and write ``docs/results/demo_difference.json``."""
    bundle = load_bundle(results.bundle_path())
    encoder = Encoder.open(bundle, device="cpu")
    kinds = results.demo_kinds()
    names = sorted(kinds)
    rate = encoder.sample_rate
    clips = [decode(results.DEMO / "clips" / name, sample_rate=rate).samples for name in names]
    n = len(clips)
    first, second = np.triu_indices(n, 1)
    mixtures = encoder.embed([add(clips[a], clips[b]) for a, b in zip(first, second, strict=True)])
    alone = encoder.embed(clips)
    candidates = centre(alone, encoder.mean)
    found = {"mixture": 0, "difference": 0}
    for mixture, pair in zip(mixtures, zip(first, second, strict=True), strict=True):
        for added, reference in (pair, pair[::-1]):
            queries = {
                "mixture": centre(mixture, encoder.mean),
                "difference": difference_query(
                    mixture, alone[reference], encoder.mean, encoder.reference_weight
                ),
            }
            for name, query in queries.items():
                scores = candidates @ query
                scores[[added, reference]] = -np.inf
                found[name] += kinds[names[scores.argmax()]] == kinds[names[added]]
    pairs = n * (n - 1)
    results.write(
        "demo_difference",
        {
            "bundle": bundle.manifest.id,
            "fingerprint": encoder.fingerprint,
            "reference_weight": encoder.reference_weight,
            "clips": n,
            "kinds": len(set(kinds.values())),
            "pairs": pairs,
            "nearest_is_of_added_kind": {k: round(v / pairs, 4) for k, v in found.items()},
            "ratio": round(found["difference"] / found["mixture"], 3),
        },
    )


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Add two clips; the shorter one is followed by silence."""
    mixture = np.zeros(max(a.size, b.size), np.float32)
    mixture[: a.size] += a
    mixture[: b.size] += b
    return mixture


if __name__ == "__main__":
    main()
