from __future__ import annotations

from typing import Literal

import pytest
import tiny_run
import torch

from training.pretraining.compute import choose_device, choose_precision, compile_forward
from training.pretraining.step import train_step

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has_bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float32)]
)
def test_auto_is_bfloat16_if_the_processor_has_it(
    has_bfloat16: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: has_bfloat16)
    assert choose_precision("auto", CPU) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_a_given_precision_is_used(
    wanted: Literal["float32", "bfloat16"], expected: torch.dtype
) -> None:
    assert choose_precision(wanted, CPU) == expected


def test_the_gpu_is_used_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device() == CPU
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 1)
    assert choose_device() == torch.device("cuda", 1)


@pytest.mark.usefixtures("narrow")
@pytest.mark.filterwarnings("ignore")  # those of the tracing itself
def test_a_step_with_compiled_encoders_is_the_step_without() -> None:
    """The graphs are captured; the backend that makes kernels of them is left out for its time."""
    recipe = tiny_run.recipe()
    plain, compiled = tiny_run.state(recipe), tiny_run.state(recipe)
    compile_forward([compiled.online.encoder, compiled.target.encoder], backend="eager")
    for step in range(2):
        found, expected = (
            train_step(
                state, tiny_run.crops(4, step), torch.Generator().manual_seed(step), recipe=recipe
            )
            for state in (compiled, plain)
        )
        assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert list(compiled.online.state_dict()) == list(plain.online.state_dict())
