"""The share of the log-mel in the time of the encoder.

    python benchmarks/front_end.py [BUNDLE]

The front end is extracted from the graph of the bundle. It and the whole graph run alternately, in
one thread. Times are processor times, since the machine may be busy.
"""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx.utils
import results

from service.bundle.files import load_bundle
from service.inference.onnx_session import Session, open_session
from training.export.graph_editor import GraphEditor

SECONDS = 5
ROUNDS = 40
INPUTS = ["waveform", "lengths"]


def main() -> None:
    """Measure and write ``docs/results/front_end.json``."""
    bundle = load_bundle(results.bundle_path())
    with TemporaryDirectory() as folder:
        front_end = Path(folder) / "front_end.onnx"
        output = extract_front_end(bundle.encoder_file, front_end)
        times = measure(
            {
                "front_end": (open_session(front_end, device="cpu", threads=1), output),
                "whole": (open_session(bundle.encoder_file, device="cpu", threads=1), "embedding"),
            }
        )
    medians = {name: statistics.median(values) for name, values in times.items()}
    encoder = medians["whole"] - medians["front_end"]
    results.write(
        "front_end",
        {
            "bundle": bundle.manifest.id,
            "fingerprint": bundle.manifest.encoder.fingerprint,
            "encoder_sha256": bundle.manifest.files[bundle.encoder_file.name].sha256,
            "clip_s": SECONDS,
            "processor_ms": {name: round(1e3 * value, 2) for name, value in medians.items()},
            "front_end_of_the_rest": round(medians["front_end"] / encoder, 3),
        },
        of_processor=True,
    )


def extract_front_end(graph: Path, out: Path) -> str:
    """Write the part of a graph before the first convolution; return the name of its output."""
    editor = GraphEditor(onnx.load(str(graph)))
    masked = editor.consumer("encoder.conv1.weight", "Conv").input[0]
    log_mel: str = editor.producer(masked, "Where").input[1]
    onnx.utils.extract_model(str(graph), str(out), INPUTS, [log_mel], check_model=False)
    return log_mel


def measure(sessions: dict[str, tuple[Session, str]]) -> dict[str, list[float]]:
    """Run the sessions alternately; return the processor time of every run [s]."""
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, (1, SECONDS * 16_000))
    values = {
        "waveform": waveform.astype(np.float32),
        "lengths": np.array([SECONDS * 16_000]),
    }
    runs = {
        name: partial(session.run, {key: values[key] for key in session.inputs}, [output])
        for name, (session, output) in sessions.items()
    }
    return results.processor_times(runs, ROUNDS)


if __name__ == "__main__":
    main()
