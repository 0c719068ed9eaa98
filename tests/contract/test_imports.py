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


def output_of(code: str) -> str:
    """Run a program in a fresh interpreter."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("module", ["service.app", "service.server", "service.__main__"])
def test_importing_the_service_leaves_training_out(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"

    assert HEAVY & set(json.loads(output_of(code))) == set()


def test_importing_the_service_starts_nothing() -> None:
    code = (
        "import threading, logging, service.server;"
        "print(threading.active_count(), len(logging.getLogger().handlers))"
    )

    assert output_of(code).split() == ["1", "0"]
