from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    *("torch", "torchaudio", "transformers", "onnx", "onnxscript", "training", "matplotlib"),
    *("huggingface_hub", "httpx2", "opentelemetry.sdk", "requests"),
}
"""Packages of training, or that reach other hosts, which the service must not import."""


@pytest.mark.parametrize("module", ["service.app", "service.server", "service.__main__"])
def test_importing_the_service_leaves_training_out(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"

    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert HEAVY & set(json.loads(result.stdout)) == set()


def test_importing_the_service_starts_nothing() -> None:
    code = (
        "import threading, logging, service.server;"
        "print(threading.active_count(), len(logging.getLogger().handlers))"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert result.stdout.split() == ["1", "0"]
