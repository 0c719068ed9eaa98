from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import synth
import tiny_bundle

from service.errors import BundleError, DeviceError
from service.inference import onnx_session as runtime
from service.inference.onnx_session import BoundRuns, Tuning, open_session
from service.inference.providers import CPU_PROVIDER, CUDA_PROVIDER

OUTPUTS = ["maxima", "embedding"]
has_no_cuda = CUDA_PROVIDER not in onnxruntime.get_available_providers()


@pytest.fixture
def encoder_path(tiny_bundle_path: Path) -> Path:
    return tiny_bundle_path / tiny_bundle.ENCODER_FILE


def _inputs(seed: int, n_samples: int = 16_000) -> dict[str, np.ndarray]:
    waveform = synth.noise(seed, n_samples / 16_000)[None]
    return {"waveform": waveform, "lengths": np.array([n_samples])}


def test_inputs_and_outputs_are_described_by_name(encoder_path: Path) -> None:
    session = open_session(encoder_path, device="cpu")
    assert session.inputs == {
        "waveform": ("float32", ("batch", "samples")),
        "lengths": ("int64", ("batch",)),
    }
    assert session.outputs["embedding"] == ("float32", ("batch", 8))
    assert session.provider == CPU_PROVIDER


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_the_same_input_gives_the_same_bits(encoder_path: Path, threads: int) -> None:
    session = open_session(encoder_path, device="cpu", threads=threads)
    runs = [session.run(_inputs(0, 100_000), ["embedding"])[0] for _ in range(5)]
    assert all(np.array_equal(run, runs[0]) for run in runs)


@pytest.mark.skipif(not has_no_cuda, reason="this machine has a GPU")
class TestWithoutGpu:
    def test_a_required_gpu_is_an_error(self, encoder_path: Path) -> None:
        with pytest.raises(DeviceError, match="no CUDA provider; install the extra `gpu`"):
            open_session(encoder_path, device="cuda")

    def test_a_preferred_gpu_falls_back_to_the_cpu_and_logs_it(
        self, encoder_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            assert open_session(encoder_path, device="auto").provider == CPU_PROVIDER
        assert "no GPU is available; encoder.onnx runs on the CPU" in caplog.text

    def test_a_provider_that_does_not_start_is_an_error(
        self, encoder_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The provider is built in but does not start: the session comes up on the CPU."""
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA_PROVIDER])
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
        with (
            pytest.warns(UserWarning, match=CUDA_PROVIDER),
            pytest.raises(DeviceError, match="no GPU could be used"),
        ):
            open_session(encoder_path, device="cuda")


@pytest.mark.parametrize("content", [None, b"", b"not a graph", b"\x08\x07" * 50])
def test_a_file_that_is_no_graph_or_missing_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"broken\.onnx cannot be loaded"):
        open_session(path, device="cpu")


def test_a_session_leaves_nothing_in_the_home_directory(encoder_path: Path, tmp_path: Path) -> None:
    """ONNX Runtime would keep a database of usage data there."""
    code = f"""
from pathlib import Path
from service.inference.onnx_session import open_session
open_session(Path({str(encoder_path)!r}), device="cpu")
"""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **home})

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tuning", [Tuning(spinning=True), Tuning(arena=False)])
def test_the_tuning_does_not_change_the_outputs(encoder_path: Path, tuning: Tuning) -> None:
    usual = open_session(encoder_path, device="cpu", threads=2)
    other = open_session(encoder_path, device="cpu", threads=2, tuning=tuning)

    (expected,) = usual.run(_inputs(0), ["embedding"])
    (found,) = other.run(_inputs(0), ["embedding"])

    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 3),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("", 3),
        (None, 3),
    ],
)
def test_cores_are_limited_by_the_quota_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int
) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota + "\n", encoding="ascii")
    monkeypatch.setattr(runtime, "CPU_QUOTA", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})

    assert runtime.n_cores() == cores


@pytest.fixture
def plain(encoder_path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(encoder_path, providers=["CPUExecutionProvider"])


def test_bound_runs_equal_plain_ones(plain: onnxruntime.InferenceSession) -> None:
    runs = BoundRuns(plain, "cpu")
    batches = [_inputs(seed, 16_000 * (1 + seed % 3)) for seed in range(9)]

    for inputs in batches:
        expected_all = plain.run(OUTPUTS, inputs)
        for bound, expected in zip(runs.run(inputs, OUTPUTS), expected_all, strict=True):
            np.testing.assert_array_equal(bound, expected)


def test_a_run_does_not_change_its_inputs_or_earlier_outputs(
    plain: onnxruntime.InferenceSession,
) -> None:
    runs = BoundRuns(plain, "cpu")
    first, second = _inputs(0, 16_000), _inputs(1, 16_000)
    waveform = first["waveform"].copy()
    (before,) = runs.run(first, ["embedding"])
    expected = before.copy()

    runs.run(second, ["embedding"])

    np.testing.assert_array_equal(first["waveform"], waveform)
    np.testing.assert_array_equal(before, expected)


def test_more_shapes_than_are_kept_still_run(
    plain: onnxruntime.InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MAX_SHAPES", 2)
    runs = BoundRuns(plain, "cpu")
    batches = [_inputs(n, 16_000 + n) for n in range(5)]

    for inputs in [*batches, *batches]:
        (bound,) = runs.run(inputs, ["embedding"])
        np.testing.assert_array_equal(bound, plain.run(["embedding"], inputs)[0])


def test_each_thread_gets_its_own_outputs(plain: onnxruntime.InferenceSession) -> None:
    runs = BoundRuns(plain, "cpu")
    batches = [_inputs(seed, 16_000) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda inputs: runs.run(inputs, ["embedding"])[0], batches))
    for output, inputs in zip(outputs, batches, strict=True):
        np.testing.assert_array_equal(output, plain.run(["embedding"], inputs)[0])
