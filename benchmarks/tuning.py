"""Speed of the settings of the sessions on this machine, on which the defaults are based.

    .venv/service/bin/python benchmarks/tuning.py

The same measurements as `minuend tune`.
"""

from __future__ import annotations

import results

from service.bundle.files import load_bundle
from service.inference.autotune import tune

SECONDS = 12.0


def main() -> None:
    """Measure and write ``docs/results/tuning.json``."""
    choices = {
        choice.setting: {
            "value": choice.value,
            "what": choice.what,
            "took_ms": {name: round(took, 2) for name, took in choice.measured.items()},
        }
        for choice in tune(load_bundle(results.BUNDLE), seconds=SECONDS)
    }
    results.write("tuning", {"choices": choices})


if __name__ == "__main__":
    main()
