from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pytest
import synth
import tiny_bundle

from service.bundle.files import Bundle, load_bundle
from service.errors import BundleError
from service.inference.encoder import Encoder
from service.inference.precision import MIN_SPEEDUP, Choice, open_checked

opener = partial(Encoder.open, device="cpu", threads=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_bundle.write(tmp_path / "bundle")


def chosen(path: Path, choice: Choice) -> str:
    return open_checked(load_bundle(path), choice, opener).precision


def test_a_bundle_without_variants_runs_in_float32(path: Path) -> None:
    assert chosen(path, "auto") == chosen(path, "fp32") == "float32"


@pytest.mark.parametrize(
    ("variants", "precision"),
    [
        ({"float16": {"cpu_speed": 1.2}, "int8": {"cpu_speed": 1.7}}, "int8"),
        ({"float16": {"cpu_speed": MIN_SPEEDUP - 0.01}}, "float32"),  # hardly faster
        ({"int8": {"cpu_speed": 1.7, "gain": 1.01}}, "float32"),  # wrong on this host
    ],
)
def test_auto_chooses_the_fastest_that_passes_its_check_and_logs_it(
    path: Path,
    variants: dict[str, dict[str, float]],
    precision: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, options in variants.items():
        tiny_bundle.add_variant(path, name, **options)
    with caplog.at_level(logging.INFO):
        assert chosen(path, "auto") == precision
    assert f"the encoder runs in {precision}" in caplog.text


def test_auto_skips_a_variant_that_is_wrong_on_this_host_and_logs_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For example on a processor that saturates where the one of the export does not."""
    tiny_bundle.add_variant(path, "int8", cpu_speed=1.7, gain=1.01)
    tiny_bundle.add_variant(path, "float16", cpu_speed=1.2, gain=1.0005)
    assert chosen(path, "auto") == "float16"
    assert "the int8 variant is not used: the answer of encoder.int8.onnx" in caplog.text


def test_auto_chooses_float32_on_a_gpu(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=1.7)

    def on_a_gpu(bundle: Bundle) -> Encoder:
        encoder = opener(bundle)
        encoder.provider = "CUDAExecutionProvider"
        return encoder

    assert open_checked(load_bundle(path), "auto", on_a_gpu).precision == "float32"


@pytest.mark.parametrize(
    ("choice", "precision"), [("fp32", "float32"), ("int8", "int8"), ("fp16", "float16")]
)
def test_a_requested_precision_is_used_even_if_it_is_slow(
    path: Path, choice: Choice, precision: str
) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=0.1)
    tiny_bundle.add_variant(path, "float16", cpu_speed=0.1)
    assert chosen(path, choice) == precision


def test_the_requested_variant_computes_the_embeddings(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=2.0, gain=1.0005)
    plain, variant = (
        open_checked(load_bundle(path), choice, opener).embed([synth.tone(440)])
        for choice in ("fp32", "int8")
    )
    assert variant == pytest.approx(1.0005 * plain)


def test_a_requested_variant_that_is_missing_is_an_error(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=1.7)
    with pytest.raises(
        BundleError, match=r"precision fp16 is asked for, but bundle tiny-0 .* it has fp32, int8"
    ):
        chosen(path, "fp16")


def test_a_requested_variant_that_is_wrong_on_this_host_is_an_error(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=1.7, gain=1.01)
    with pytest.raises(BundleError, match=r"answer of encoder\.int8\.onnx .* deviates by 0\.01"):
        chosen(path, "int8")
