"""ONNX Runtime sessions: the one place that chooses the device and the only one that knows it."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from service.errors import BundleError
from service.inference.providers import (
    CPU_PROVIDER,
    GPU_MEMORY,
    Provider,
    check_started,
    choose_providers,
    make_caches,
)

# Read at the import: without it, newer versions keep a database in the home directory and report
# to their maker over the network.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
_Shapes = tuple[tuple[int, ...], ...]
_Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], list[np.ndarray]]
TensorSpec = tuple[str, tuple[int | str | None, ...]]

MAX_SHAPES = 32
"""Batch shapes kept in GPU memory; `providers.bucket` limits how many occur."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

_ERRORS_ONLY = 3
# They share no base class but Exception.
_LOAD_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NoSuchFile,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)
_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How sessions on the CPU run.

    The defaults are within 3 % of what was fastest where it was measured, as the figures in
    docs/results/tuning.json tell; `minuend tune` measures another host.

    Attributes:
        spinning: Whether the threads of a run wait for each other in a loop; after it they rest.
        arena: Whether memory is kept from run to run, as much as the largest one took.
    """

    spinning: bool = True
    arena: bool = True


class Session:
    """A loaded graph. `run` may be called from several threads at once.

    Attributes:
        provider: Execution provider the graph runs on.
        inputs: Data type and shape of each input by name; an axis is a number, a name or None.
        outputs: The same of each output.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.provider: str = session.get_providers()[0]
        on_gpu = self.provider != CPU_PROVIDER
        self._run = BoundRuns(session, GPU_MEMORY).run if on_gpu else _plain(session)
        self.inputs = _specs(session.get_inputs())
        self.outputs = _specs(session.get_outputs())

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run the graph once and return the named outputs in their order."""
        return self._run(inputs, outputs)


class BoundRuns:
    """Runs on a GPU, whose inputs keep their place in its memory; may be called by several threads.

    A shape that is seen again is copied into the memory of the time before, so that nothing is
    allocated. Outputs come back to the host: they are small beside the waveforms. Tested on the
    CPU, whose answers it gives bit by bit; it has not run on a GPU and nothing was measured.

    Args:
        session: What runs.
        device: Memory of the inputs, as ONNX Runtime names it: "cuda" or "cpu".
    """

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        self._session = session
        self._device = device
        self._places: OrderedDict[_Shapes, dict[str, onnxruntime.OrtValue]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run the graph once and return the named outputs in their order."""
        with self._lock:  # a place holds the inputs of one run, and a GPU runs one at a time anyhow
            binding = self._session.io_binding()
            for name, place in self._place(inputs).items():
                binding.bind_ortvalue_input(name, place)
            for name in outputs:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            values: list[np.ndarray] = binding.copy_outputs_to_cpu()
        return values

    def _place(self, inputs: Mapping[str, np.ndarray]) -> dict[str, onnxruntime.OrtValue]:
        """Copy inputs to the device, to where those of their shapes were before."""
        shapes = tuple(value.shape for value in inputs.values())
        places = self._places.pop(shapes, None)
        if places is None:
            places = {
                # A copy, since on the CPU the value would lie in the array that was given.
                name: onnxruntime.OrtValue.ortvalue_from_numpy(value.copy(), self._device)
                for name, value in inputs.items()
            }
        else:
            for name, value in inputs.items():
                places[name].update_inplace(np.ascontiguousarray(value))
        self._places[shapes] = places
        if len(self._places) > MAX_SHAPES:
            self._places.popitem(last=False)
        return places


def available_providers() -> list[str]:
    """Name the execution providers of the installed ONNX Runtime, the fastest first."""
    providers: list[str] = onnxruntime.get_available_providers()
    return providers


def n_cores() -> int:
    """Count the cores this process may use, by its affinity and its container's quota."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else min(allowed, math.ceil(int(quota) / int(period)))


def open_session(
    path: Path, *, device: Device = "auto", threads: int = 0, tuning: Tuning | None = None
) -> Session:
    """Load a graph on a device.

    Args:
        path: The ONNX file.
        device: See `providers.choose_providers`; "auto" logs when there is no GPU.
        threads: Threads of one run; 0 for one per core.
        tuning: How to run on the CPU; the defaults of `Tuning` if not given.

    Raises:
        DeviceError: A GPU is demanded and missing.
        BundleError: The file is no graph that this version of ONNX Runtime runs.
    """
    providers = choose_providers(device, available_providers())
    if len(providers) > 1:
        make_caches(providers)
        # Finds the CUDA libraries of pip packages; without it only system-wide ones are seen.
        onnxruntime.preload_dlls()
    session = _load(path, providers, threads or n_cores(), tuning or Tuning())
    check_started(device, session.provider)
    if device == "auto" and session.provider == CPU_PROVIDER:
        _logger.info("no GPU is available; %s runs on the CPU", path.name)
    return session


def _load(path: Path, providers: list[Provider], threads: int, tuning: Tuning) -> Session:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.use_deterministic_compute = True
    # A memory pattern is kept for every shape ever seen, and clips have any length.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = tuning.arena
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "1" if tuning.spinning else "0"
    )
    # Else they would go on in their loop after each run, and keep the cores from all others.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return Session(onnxruntime.InferenceSession(path, options, providers=providers))
    except _LOAD_ERRORS as error:
        raise BundleError(f"{path} cannot be loaded by ONNX Runtime: {error}") from error


def _plain(session: onnxruntime.InferenceSession) -> _Run:
    def run(inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        values: list[np.ndarray] = session.run(list(outputs), dict(inputs))
        return values

    return run


def _specs(nodes: Sequence[onnxruntime.NodeArg]) -> dict[str, TensorSpec]:
    return {node.name: (_DTYPES.get(node.type, node.type), tuple(node.shape)) for node in nodes}
