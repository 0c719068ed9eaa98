"""Variants of an exported encoder in cheaper arithmetic, shipped if they pass the gate."""

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
from training.export.float16 import half_precision
from training.export.gate import Gate, Judgement, Scorer
from training.export.graph import TOLERANCE, write_graph
from training.export.int8 import measure_ranges, write_int8
from training.export.load import load_bundle as load_torch
from training.export.reference_weight import LONGEST, mix
from training.model.frontend import SAMPLE_RATE

FEWEST_HELD_OUT = 10
CALIBRATION_CLIPS = 200
LEVELS_DB = (-30.0, 6.0)  # every third clip of the calibration is made as much louder
SPEED_ROUNDS = 15

Kind = Literal["int8", "float16"]
KINDS: tuple[Kind, ...] = ("int8", "float16")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a variant.

    Attributes:
        variant: As the manifest has it, or would have had it.
        faults: Why it is not in the bundle; empty if it is.
    """

    variant: EncoderVariant
    faults: list[str]

    def line(self) -> str:
        """Say it in a line."""
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
) -> list[Outcome]:
    """Write int8 and float16 variants into a bundle and keep those that pass the gate.

    Args:
        folder: A complete bundle; variants that it has are replaced.
        trained: Clips of the training, to calibrate by.
        held_out: Clips to judge by; with fewer than 10 nothing can be judged, so nothing is added.
        seed: Draws clips and pairs.
        kinds: Which to make.
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
    reference = Encoder.open(bundle, device="cpu", threads=1)
    gate = Gate(reference, held_out, seed, scorers)
    outcomes = []
    for kind in kinds:
        file = bundle.file(f"encoder.{kind}.onnx")
        if kind == "int8":
            ranges = measure_ranges(model, calibration_clips(trained, seed))
            write_int8(bundle.encoder_file, file, ranges)
        else:
            write_graph(half_precision(model), file)
        outcomes.append(_try_variant(bundle, kind, reference, gate))
        if outcomes[-1].faults:
            file.unlink()
    _replace_variants(bundle, [outcome.variant for outcome in outcomes if not outcome.faults])
    return outcomes


def calibration_clips(store: ClipStore, seed: int) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Give up to 200 clips, every third at another level, mixtures of them, and silence."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(store.clips))[:CALIBRATION_CLIPS]
    before = np.zeros(SAMPLE_RATE, np.float32)
    yield before
    for place, i in enumerate(chosen):
        clip = store.clip(i)[:LONGEST]
        if place % 3 == 0:
            clip = clip * np.float32(10.0 ** (random.uniform(*LEVELS_DB) / 20.0))
        yield clip
        if place % 2:
            yield mix(clip, before)
        before = clip


def measure_speed(variant: Encoder, reference: Encoder) -> float:
    """Compare the processor time of two encoders on a clip of 5 s, one after the other in turn.

    Returns:
        How many clips one encodes in the time in which the reference encodes one.
    """
    clip = np.random.default_rng(0).uniform(-0.1, 0.1, LONGEST).astype(np.float32)
    ratios = []
    for encoder in (variant, reference):
        encoder.embed([clip])
    for _ in range(SPEED_ROUNDS):
        spent = []
        for encoder in (variant, reference):
            start = time.process_time()
            encoder.embed([clip])
            spent.append(time.process_time() - start)
        ratios.append(spent[1] / spent[0])
    return float(np.median(ratios))


def _try_variant(bundle: Bundle, kind: Kind, reference: Encoder, gate: Gate) -> Outcome:
    """Measure a variant whose graph has been written."""
    variant = EncoderVariant(
        file=f"encoder.{kind}.onnx", precision=kind, tolerance=TOLERANCE, cpu_speed=1, figures={}
    )
    encoder = Encoder.open(replace(bundle, variant=variant), device="cpu", threads=1)
    judgement: Judgement = gate.judge(encoder)
    measured = {
        # Other processors round a little differently; what saturates is off by far more.
        "tolerance": max(1.5 * known_deviation(encoder, bundle), TOLERANCE),
        "cpu_speed": round(measure_speed(encoder, reference), 2),
        "figures": judgement.figures,
    }
    return Outcome(variant.model_copy(update=measured), judgement.faults)


def known_deviation(encoder: Encoder, bundle: Bundle) -> float:
    """Return the deviation from the known answer, relative to the answer's largest value."""
    with np.load(bundle.file(bundle.manifest.known_answer.file)) as stored:
        waveform, expected = stored["waveform"], stored["embedding"]
    deviation = np.abs(encoder.embed([waveform])[0] - expected).max()
    return float(deviation / np.abs(expected).max())


def _replace_variants(bundle: Bundle, variants: Sequence[EncoderVariant]) -> None:
    """Let the manifest list these variants and no others, and their files."""
    manifest = bundle.manifest
    dropped = {variant.file for variant in manifest.encoder.variants}
    files = {name: entry for name, entry in manifest.files.items() if name not in dropped}
    files |= {variant.file: hash_file(bundle.file(variant.file)) for variant in variants}
    encoder = manifest.encoder.model_copy(update={"variants": tuple(variants)})
    write_manifest(bundle.path, manifest.model_copy(update={"encoder": encoder, "files": files}))
    for name in dropped - files.keys():
        bundle.file(name).unlink(missing_ok=True)
