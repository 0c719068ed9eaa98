"""ONNX Runtime sessions: loads graphs on a device and runs them."""

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

# Read when onnxruntime is imported. Without it, newer versions keep a database in the home
# directory and send usage data over the network.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
_Shapes = tuple[tuple[int, ...], ...]
_Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], list[np.ndarray]]
TensorSpec = tuple[str, tuple[int | str | None, ...]]
"""Data type and axes of an input or output; an axis is a number, a name or None."""
Contract = Mapping[str, tuple[str, tuple[int | None, ...]]]
"""Required data type and axes by name; None is an axis of variable length."""

MAX_SHAPES = 32
"""Batch shapes kept in GPU memory; `providers.padded_length` limits how many occur."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

_ERRORS_ONLY = 3
# Their only common base class is Exception.
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
    """Options of sessions on a CPU.

    The defaults were within 3 % of the fastest in docs/results/tuning.json; `minuend tune` measures
    another host.

    Attributes:
        spinning: Whether the threads of a run wait for each other in a loop, during the run only.
        arena: Whether memory is kept between runs, as much as the largest run needed.
    """

    spinning: bool = True
    arena: bool = True


class Session:
    """A loaded graph; `run` may be called from several threads at once.

    Attributes:
        provider: Execution provider on which the graph runs.
        inputs: Data type and axes of each input by name.
        outputs: Data type and axes of each output by name.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.provider: str = session.get_providers()[0]
        on_gpu = self.provider != CPU_PROVIDER
        self._run = BoundRuns(session, GPU_MEMORY).run if on_gpu else _plain(session)
        self.inputs = _specs(session.get_inputs())
        self.outputs = _specs(session.get_outputs())

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run the graph once and return the named outputs, in this order."""
        return self._run(inputs, outputs)

    def faults(self, inputs: Contract, outputs: Contract) -> list[str]:
        """List the differences between the graph and the required inputs and outputs."""
        return [
            f"{kind} {name} {fault}"
            for kind, found, required in (
                ("input", self.inputs, inputs),
                ("output", self.outputs, outputs),
            )
            for name, (dtype, axes) in required.items()
            if (fault := _fault(found.get(name), dtype, axes))
        ]


class BoundRuns:
    """Runs a graph on a GPU with inputs in preallocated memory, for several threads.

    Inputs of a shape that occurred before are copied into the memory of the earlier run. Outputs
    are copied to the host; they are small compared with the waveforms. Tested on a CPU, with the
    same bits as plain runs; it was never run on a GPU, and no speed was measured.

    Args:
        session: The graph.
        device: Memory of the inputs, as named by ONNX Runtime: "cuda" or "cpu".
    """

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        self._session = session
        self._device = device
        self._inputs: OrderedDict[_Shapes, dict[str, onnxruntime.OrtValue]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run the graph once and return the named outputs, in this order."""
        with self._lock:  # the memory holds the inputs of one run, and a GPU has one run at a time
            binding = self._session.io_binding()
            for name, value in self._copy_to_device(inputs).items():
                binding.bind_ortvalue_input(name, value)
            for name in outputs:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            values: list[np.ndarray] = binding.copy_outputs_to_cpu()
        return values

    def _copy_to_device(self, inputs: Mapping[str, np.ndarray]) -> dict[str, onnxruntime.OrtValue]:
        """Copy inputs to the device, into the memory of earlier inputs with the same shapes."""
        shapes = tuple(value.shape for value in inputs.values())
        values = self._inputs.pop(shapes, None)
        if values is None:
            values = {
                # A copy, since on a CPU the value would share the memory of the array.
                name: onnxruntime.OrtValue.ortvalue_from_numpy(value.copy(), self._device)
                for name, value in inputs.items()
            }
        else:
            for name, value in inputs.items():
                values[name].update_inplace(np.ascontiguousarray(value))
        self._inputs[shapes] = values
        if len(self._inputs) > MAX_SHAPES:
            self._inputs.popitem(last=False)
        return values


def available_providers() -> list[str]:
    """List the execution providers of the installed ONNX Runtime, the fastest first."""
    providers: list[str] = onnxruntime.get_available_providers()
    return providers


def n_cores() -> int:
    """Count the cores that this process may use, by its affinity and the quota of its container."""
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
        device: See `providers.choose_providers`; "auto" logs a missing GPU.
        threads: Threads of a run; 0 for one per core.
        tuning: Options on a CPU; the defaults of `Tuning` if None.

    Raises:
        DeviceError: A GPU is required and missing.
        BundleError: The installed ONNX Runtime cannot run the file.
    """
    providers = choose_providers(device, available_providers())
    if len(providers) > 1:
        make_caches(providers)
        # Finds the CUDA libraries of pip packages; otherwise only system-wide ones are found.
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
    # ONNX Runtime keeps a memory pattern for each shape, and clips have any length.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = tuning.arena
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "1" if tuning.spinning else "0"
    )
    # Otherwise the threads would spin after each run too, and occupy the cores.
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


def _fault(spec: TensorSpec | None, dtype: str, axes: tuple[int | None, ...]) -> str | None:
    """Describe how an input or output differs from the required data type and axes."""
    if spec is None:
        return "is missing"
    if spec[0] == dtype and _has_axes(spec[1], axes):
        return None
    shown = ", ".join("any" if axis is None else str(axis) for axis in axes)
    return f"is {spec[0]} {spec[1]}, must be {dtype} [{shown}]"


def _has_axes(shape: tuple[int | str | None, ...], axes: tuple[int | None, ...]) -> bool:
    """Tell whether a shape has the required axes; a variable one has a name or None."""
    return len(shape) == len(axes) and all(
        not isinstance(found, int) if required is None else found == required
        for found, required in zip(shape, axes, strict=True)
    )
