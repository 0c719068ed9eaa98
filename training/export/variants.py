"""Make int8 and float16 variants of an exported encoder; those that pass the gate are shipped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle, hash_file, load_bundle, write_manifest
from service.bundle.manifest import EncoderVariant
from service.inference.encoder import Encoder
from training.data.store import ClipStore
from training.export.float16 import to_float16
from training.export.gate import PrecisionGate, Scorer
from training.export.graph import TOLERANCE, write_graph
from training.export.int8 import measure_ranges, write_int8
from training.export.load import load_bundle as load_torch
from training.export.reference_weight import LONGEST_SAMPLES, mix
from training.model.frontend import SAMPLE_RATE

FEWEST_HELD_OUT = 10  # clips; with fewer, nothing can be measured
CALIBRATION_CLIPS = 200
LEVELS_DB = (-30.0, 6.0)  # range of the gain of every third clip of the calibration
SPEED_ROUNDS = 15

Kind = Literal["int8", "float16"]
KINDS: tuple[Kind, ...] = ("int8", "float16")


@dataclass(frozen=True, slots=True)
class VariantOutcome:
    """A variant, and whether it passed the gate.

    Attributes:
        variant: Its entry in the manifest, or the entry it would have had.
        faults: Reasons why it is not in the bundle; empty if it is.
    """

    variant: EncoderVariant
    faults: list[str]

    def line(self) -> str:
        """Describe the outcome in one line."""
        figures = ", ".join(f"{name} {value:g}" for name, value in self.variant.figures.items())
        verdict = f"not shipped: {'; '.join(self.faults)}" if self.faults else "shipped"
        speed = f"{self.variant.cpu_speed:g} times the speed of float32"
        return f"{self.variant.precision}: {verdict} ({speed}; {figures})"


def add_variants(
    folder: Path,
    trained: ClipStore,
    held_out: ClipStore,
    seed: int,
    *,
    kinds: Sequence[Kind] = KINDS,
    scorers: Sequence[Scorer] = (),
) -> list[VariantOutcome]:
    """Add those int8 and float16 variants to a bundle that pass the gate.

    Args:
        folder: A complete bundle; variants that it has are replaced.
        trained: Training clips, for the calibration.
        held_out: Clips for the gate; with fewer than 10, no variant is made.
        seed: Seed of clips and pairs.
        kinds: The variants to make.
        scorers: Further measurements of the gate.

    Raises:
        BundleError: The folder holds no bundle of this encoder.
        ExportParityError: The encoder's graph is not as ``write_graph`` writes it.
    """
    if not kinds or len(held_out.clips) < FEWEST_HELD_OUT:
        return []
    bundle = load_bundle(folder)
    _replace_variants(bundle, [])
    bundle, model = load_bundle(folder), load_torch(folder).model
    float32 = Encoder.open(bundle, device="cpu", threads=1)
    gate = PrecisionGate(float32, held_out, seed, scorers)
    outcomes = []
    for kind in kinds:
        file = bundle.file(f"encoder.{kind}.onnx")
        if kind == "int8":
            ranges = measure_ranges(model, calibration_clips(trained, seed))
            write_int8(bundle.encoder_file, file, ranges)
        else:
            write_graph(to_float16(model), file)
        outcomes.append(_check_variant(bundle, kind, gate))
        if outcomes[-1].faults:
            file.unlink()
    _replace_variants(bundle, [outcome.variant for outcome in outcomes if not outcome.faults])
    return outcomes


def calibration_clips(store: ClipStore, seed: int) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Yield up to 200 clips, every third at another level, mixtures of them, and silence."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(store.clips))[:CALIBRATION_CLIPS]
    before = np.zeros(SAMPLE_RATE, np.float32)
    yield before
    for n, i in enumerate(chosen):
        clip = store.clip(i)[:LONGEST_SAMPLES]
        if n % 3 == 0:
            clip = clip * np.float32(10.0 ** (random.uniform(*LEVELS_DB) / 20.0))
        yield clip
        if n % 2:
            yield mix(clip, before)
        before = clip


def measure_speed(variant: Encoder, float32: Encoder) -> float:
    """Compare the processor time of two encoders on a clip of 5 s, in turns.

    Returns:
        Clips that the variant encodes in the time in which the float32 encoder encodes one.
    """
    clip = np.random.default_rng(0).uniform(-0.1, 0.1, LONGEST_SAMPLES).astype(np.float32)
    ratios = []
    for encoder in (variant, float32):
        encoder.embed([clip])
    for _ in range(SPEED_ROUNDS):
        spent = []
        for encoder in (variant, float32):
            start = time.process_time()
            encoder.embed([clip])
            spent.append(time.process_time() - start)
        ratios.append(spent[1] / spent[0])
    return float(np.median(ratios))


def _check_variant(bundle: Bundle, kind: Kind, gate: PrecisionGate) -> VariantOutcome:
    """Measure a variant whose graph has been written."""
    variant = EncoderVariant(
        file=f"encoder.{kind}.onnx", precision=kind, tolerance=TOLERANCE, cpu_speed=1, figures={}
    )
    encoder = Encoder.open(replace(bundle, variant=variant), device="cpu", threads=1)
    report = gate.check(encoder)
    measured = {
        # Other processors round a little differently; saturation deviates by far more.
        "tolerance": max(1.5 * known_deviation(encoder, bundle), TOLERANCE),
        "cpu_speed": round(measure_speed(encoder, gate.float32), 2),
        "figures": report.figures,
    }
    return VariantOutcome(variant.model_copy(update=measured), report.faults)


def known_deviation(encoder: Encoder, bundle: Bundle) -> float:
    """Return the deviation from the known answer, relative to the answer's largest value."""
    with np.load(bundle.file(bundle.manifest.known_answer.file)) as stored:
        waveform, expected = stored["waveform"], stored["embedding"]
    deviation = np.abs(encoder.embed([waveform])[0] - expected).max()
    return float(deviation / np.abs(expected).max())


def _replace_variants(bundle: Bundle, variants: Sequence[EncoderVariant]) -> None:
    """List these variants and no others in the manifest, and delete the files of the others."""
    manifest = bundle.manifest
    dropped = {variant.file for variant in manifest.encoder.variants}
    files = {name: entry for name, entry in manifest.files.items() if name not in dropped}
    files |= {variant.file: hash_file(bundle.file(variant.file)) for variant in variants}
    encoder = manifest.encoder.model_copy(update={"variants": tuple(variants)})
    write_manifest(bundle.path, manifest.model_copy(update={"encoder": encoder, "files": files}))
    for name in dropped - files.keys():
        bundle.file(name).unlink(missing_ok=True)
