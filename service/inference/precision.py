"""Choice of the arithmetic of the encoder: the requested one, or the fastest correct one.

The speeds are read from the manifest and not measured at start-up: the start stays short, and each
start on a host chooses the same variant, so embeddings do not change from start to start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from service.bundle.files import Bundle
from service.bundle.manifest import EncoderVariant
from service.errors import BundleError
from service.inference.encoder import Encoder
from service.inference.providers import CPU_PROVIDER

Choice = Literal["auto", "fp32", "int8", "fp16"]
Opener = Callable[[Bundle], Encoder]

MIN_SPEEDUP = 1.1
"""Lowest speed of a variant that "auto" chooses, relative to float32; less may be noise."""

_NAMES = {"fp32": "float32", "int8": "int8", "fp16": "float16"}

_logger = logging.getLogger(__name__)


def open_checked(bundle: Bundle, choice: Choice, opener: Opener) -> Encoder:
    """Open an encoder that reproduces the known answer on this host.

    Args:
        bundle: A verified bundle.
        choice: The requested arithmetic. "auto" chooses the fastest variant that was measured to be
            faster than float32 on a CPU and reproduces the known answer here, otherwise float32.
            On a GPU it chooses float32, since no speed was measured there.
        opener: Opens the encoder of a bundle, as `Encoder.open` does.

    Raises:
        BundleError: The requested variant is missing or does not reproduce the known answer.
        DeviceError: A GPU is required and missing.
    """
    if choice != "auto":
        chosen = select(bundle, choice)
        return _checked(chosen, opener(chosen))
    for variant in _faster(bundle.manifest.encoder.variants):
        chosen = replace(bundle, variant=variant)
        try:
            encoder = opener(chosen)
            if encoder.provider != CPU_PROVIDER:
                break
            return _checked(chosen, encoder)
        except BundleError as error:
            _logger.warning("the %s variant is not used: %s", variant.precision, error)
    return _checked(bundle, opener(bundle))


def select(bundle: Bundle, choice: Literal["fp32", "int8", "fp16"]) -> Bundle:
    """Return the bundle with the variant of a precision.

    Raises:
        BundleError: The bundle has no such variant.
    """
    if choice == "fp32":
        return bundle
    variants: dict[str, EncoderVariant] = {
        variant.precision: variant for variant in bundle.manifest.encoder.variants
    }
    if _NAMES[choice] in variants:
        return replace(bundle, variant=variants[_NAMES[choice]])
    available = ", ".join(name for name, long in _NAMES.items() if long in {"float32", *variants})
    raise BundleError(
        f"precision {choice} is asked for, but bundle {bundle.manifest.id} has no such variant; "
        f"it has {available}"
    )


def _faster(variants: Sequence[EncoderVariant]) -> list[EncoderVariant]:
    """List the variants that are faster than float32 on a CPU, the fastest first."""
    faster = [variant for variant in variants if variant.cpu_speed >= MIN_SPEEDUP]
    return sorted(faster, key=lambda variant: -variant.cpu_speed)


def _checked(bundle: Bundle, encoder: Encoder) -> Encoder:
    encoder.check(bundle)
    _logger.info("the encoder runs in %s", encoder.precision)
    return encoder
