from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import DeviceError
from service.inference.providers import (
    CPU_PROVIDER,
    CUDA_PROVIDER,
    TENSORRT_PROVIDER,
    choose_providers,
    make_caches,
    padded_length,
)

WITHOUT = [CPU_PROVIDER]
WITH_CUDA = [CUDA_PROVIDER, CPU_PROVIDER]
WITH_ALL = [TENSORRT_PROVIDER, CUDA_PROVIDER, CPU_PROVIDER]


@pytest.mark.parametrize(
    ("device", "available", "chosen"),
    [
        ("cpu", WITH_ALL, [CPU_PROVIDER]),
        ("auto", WITHOUT, [CPU_PROVIDER]),
        ("auto", WITH_CUDA, [CUDA_PROVIDER, CPU_PROVIDER]),
        # "auto" does not choose TensorRT, whose engines take minutes to build.
        ("auto", WITH_ALL, [CUDA_PROVIDER, CPU_PROVIDER]),
        ("cuda", WITH_ALL, [CUDA_PROVIDER, CPU_PROVIDER]),
        ("tensorrt", WITH_ALL, [TENSORRT_PROVIDER, CUDA_PROVIDER, CPU_PROVIDER]),
        ("tensorrt", [TENSORRT_PROVIDER, CPU_PROVIDER], [TENSORRT_PROVIDER, CPU_PROVIDER]),
    ],
)
def test_providers_are_chosen_by_device_and_installation(
    device: str, available: list[str], chosen: list[str]
) -> None:
    assert [name for name, _ in choose_providers(device, available)] == chosen


@pytest.mark.parametrize(
    ("device", "available", "name"),
    [("cuda", WITHOUT, "CUDA"), ("tensorrt", WITHOUT, "TensorRT"), ("tensorrt", WITH_CUDA, "Tens")],
)
def test_a_required_provider_that_is_missing_is_named(
    device: str, available: list[str], name: str
) -> None:
    with pytest.raises(DeviceError, match=f"device {device} is demanded.* has no {name}"):
        choose_providers(device, available)


def test_engines_are_kept_in_the_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    providers = choose_providers("tensorrt", WITH_ALL)
    folder = tmp_path / "minuend" / "tensorrt"
    assert providers[0][1]["trt_engine_cache_path"] == str(folder)
    make_caches(choose_providers("auto", WITH_ALL))
    assert not list(tmp_path.iterdir())
    make_caches(providers)
    assert folder.is_dir()


def test_there_are_few_padded_lengths_and_they_add_at_most_a_quarter() -> None:
    lengths = range(1, 60 * 16_000, 97)
    padded = [padded_length(n) for n in lengths]
    assert all(found >= n for n, found in zip(lengths, padded, strict=True))
    assert all(found <= 1.25 * n for n, found in zip(lengths, padded, strict=True) if n > 16_384)
    assert len(set(padded)) < 30
    assert [padded_length(found) for found in padded] == padded
