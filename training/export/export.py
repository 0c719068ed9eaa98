"""Export a checkpoint as a bundle that the service loads."""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY
from service.bundle.files import MANIFEST_FILE, hash_file, load_bundle, write_manifest
from service.bundle.manifest import (
    ID_PATTERN,
    SCHEMA_VERSION,
    BundleManifest,
    DifferenceInfo,
    EncoderInfo,
    KnownAnswer,
    ResamplerInfo,
    TrainingInfo,
    encode_mean,
)
from service.concurrency.durable import staged_folder
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.data.attribution import HELD_OUT, TRAINED, describe_data, write_attribution
from training.data.clips import TrainingData
from training.data.store import ClipStore
from training.export.fingerprint import fingerprint
from training.export.graph import TOLERANCE, check_parity, write_graph
from training.export.known_answer import make_known_clip
from training.export.parts import (
    ATTRIBUTION,
    PARENT_ATTRIBUTION,
    is_parts,
    load_model,
    read_encoder,
)
from training.export.reference_weight import WeightChoice, choose_reference_weight
from training.export.variants import FEWEST_HELD_OUT, KINDS, Kind, add_variants
from training.model.encoder import DIM, PARTIAL_FRAMES, TIME_STRIDE
from training.model.frontend import HOP_LENGTH, SAMPLE_RATE
from training.model.model import CROP_SAMPLES, MIN_SAMPLES, EmbeddingModel
from training.pretraining.metrics import METRICS
from training.pretraining.run import Progress
from training.recipe import Recipe
from training.reports.cards import write_card

LICENCE = "Apache-2.0"
GRAPH = "encoder.onnx"
KNOWN_ANSWER = "known_answer.npz"
CONTEXT_FRAMES = 2  # frames on either side that an encoder frame depends on, rounded up
MEAN_CLIPS = 1_000  # clips of the mean embedding
DEFAULT_WEIGHT = 0.5  # of the reference, if too few clips are held out to choose it


def export(
    checkpoint: Path,
    out: Path,
    *,
    data: TrainingData | None = None,
    kinds: Sequence[Kind] = KINDS,
    report: Callable[[str], object] = lambda _: None,
) -> Path:
    """Write the bundle of a checkpoint's online encoder.

    The folder gets its name only when the bundle is complete and its graph gives the same
    embeddings as the torch model.

    Args:
        checkpoint: Checkpoint of a run, or folder of an encoder in parts.
        out: Folder of the bundle; an existing bundle is replaced. Its name is the bundle's id.
        data: The run's data; None if it is still where it was.
        kinds: Variants to make, see ``training.export.variants``.
        report: Called with one line about the outcome of each variant.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: The name is no valid id, or ``out`` exists and is no bundle.
        CheckpointError: The checkpoint cannot be read.
        DatasetError: The run's data is gone.
        ExportParityError: The exported graph differs from the torch model.
    """
    _check_target(out)
    content = read_encoder(checkpoint)
    recipe = Recipe.model_validate(content["recipe"])
    if data is None:
        data = TrainingData(Path(content["origin"]["data"]), Path(content["origin"]["cache"]))
    trained, held_out = data.open(recipe)
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(out, replace=True) as staged:
        encoder, parity = _write_encoder(staged, out.name, content, trained)
        difference, scores = _measure_difference(encoder, trained, held_out, recipe.seed)
        scores["parity_with_torch"] = parity
        manifest = load_bundle(staged).manifest
        manifest = manifest.model_copy(update={"difference": difference, "scores": scores})
        write_manifest(staged, manifest)
        for outcome in add_variants(staged, trained, held_out, recipe.seed, kinds=kinds):
            report(outcome.line())
        _write_documents(staged, checkpoint, trained, held_out)
        finished = load_bundle(staged)
        Encoder.open(finished, device="cpu").check(finished)
    return out


def _check_target(out: Path) -> None:
    if not re.match(ID_PATTERN, out.name):
        raise BundleError(
            f"{out.name!r} cannot name a bundle: letters, digits, '.', '_' and '-' are allowed, a "
            f"letter or a digit first, 128 in all"
        )
    if out.exists() and not (out / MANIFEST_FILE).is_file():
        raise BundleError(f"{out} is there and holds no bundle; choose another folder")


def mean_embedding(encoder: Encoder, store: ClipStore, seed: int) -> Float32[np.ndarray, " dim"]:
    """Average the embeddings of up to 1,000 training clips, which the seed draws."""
    n = len(store.clips)
    chosen = np.random.default_rng(seed).permutation(n)[:MEAN_CLIPS]
    total = np.zeros(encoder.dim)
    for first in range(0, len(chosen), 32):
        clips = [store.clip(i) for i in chosen[first : first + 32]]
        total += encoder.embed(clips).sum(axis=0, dtype=np.float64)
    return (total / len(chosen)).astype(np.float32)


def with_files(staged: Path, manifest: BundleManifest) -> BundleManifest:
    """Return the manifest with every file of the folder listed."""
    names = sorted(p.name for p in staged.iterdir() if p.name != MANIFEST_FILE)
    return manifest.model_copy(update={"files": {name: hash_file(staged / name) for name in names}})


def _write_encoder(
    staged: Path, name: str, content: dict[str, Any], trained: ClipStore
) -> tuple[Encoder, float]:
    """Write graph, known answer and a first manifest.

    Returns:
        The exported encoder, and its largest deviation from the torch model.
    """
    model = load_model(content)
    write_graph(model, staged / GRAPH)
    _write_known_answer(model, staged / KNOWN_ANSWER)
    write_manifest(staged, _first_manifest(staged, name, model, content, trained))
    encoder = Encoder.open(load_bundle(staged), device="cpu")
    return encoder, check_parity(model, encoder)


def _write_known_answer(model: EmbeddingModel, path: Path) -> None:
    clip = make_known_clip()
    with torch.inference_mode():
        output = model(torch.from_numpy(clip)[None], torch.tensor([clip.size]))
    np.savez(path, waveform=clip, embedding=output.embedding[0].numpy())


def _measure_difference(
    encoder: Encoder, trained: ClipStore, held_out: ClipStore, seed: int
) -> tuple[DifferenceInfo, dict[str, float | int | str]]:
    """Measure the mean embedding, and choose the weight of the reference.

    Returns:
        Both as the manifest has them, and the scores of the choice.
    """
    mean = mean_embedding(encoder, trained, seed)
    choice = None
    if len(held_out.clips) >= FEWEST_HELD_OUT:
        choice = choose_reference_weight(encoder, held_out, mean, seed)
    weight = choice.weight if choice else DEFAULT_WEIGHT
    return DifferenceInfo(mean=encode_mean(mean), reference_weight=weight), _scores(choice)


def _write_documents(
    staged: Path, checkpoint: Path, trained: ClipStore, held_out: ClipStore
) -> None:
    """Write metrics, card and attribution, and the manifest that lists all files."""
    manifest = load_bundle(staged).manifest
    in_parts = is_parts(checkpoint)
    run = checkpoint if in_parts else checkpoint.parent
    shutil.copy(run / METRICS, staged / METRICS)
    write_card(staged, manifest)
    roles = {TRAINED: trained.clips, HELD_OUT: held_out.clips}
    earlier = run / (ATTRIBUTION if in_parts else PARENT_ATTRIBUTION)
    write_attribution(staged / ATTRIBUTION, roles, earlier)
    write_manifest(staged, with_files(staged, manifest))


def _first_manifest(
    staged: Path, name: str, model: EmbeddingModel, content: dict[str, Any], trained: ClipStore
) -> BundleManifest:
    """Fill in everything that is known before the exported encoder has run."""
    recipe, progress = Recipe.model_validate(content["recipe"]), Progress(**content["progress"])
    block = HOP_LENGTH * TIME_STRIDE
    encoder = EncoderInfo(
        file=GRAPH,
        fingerprint=fingerprint(model),
        sample_rate_hz=SAMPLE_RATE,
        dim=DIM,
        frame_rate_hz=SAMPLE_RATE / block,
        min_samples=MIN_SAMPLES,
        block_samples=block,
        context_frames=CONTEXT_FRAMES,
        partial_frames=PARTIAL_FRAMES,
        frame_stride=TIME_STRIDE,
        floor_samples=CROP_SAMPLES,
        pooling="mean+max",
        resampler=ResamplerInfo(name=RESAMPLER, quality=RESAMPLER_QUALITY),
        precision="float32",
    )
    training = TrainingInfo(
        recipe=recipe.to_dict(),
        recipe_sha256=recipe.sha256(),
        commit=content["origin"]["commit"],
        samples_seen=progress.samples_seen + progress.parent_samples,
        data=describe_data(trained),
        parent=progress.parent,
        precision=content["origin"].get("precision"),
    )
    return BundleManifest(
        schema_version=SCHEMA_VERSION,
        id=name,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        files={file: hash_file(staged / file) for file in (GRAPH, KNOWN_ANSWER)},
        encoder=encoder,
        difference=DifferenceInfo(
            mean=encode_mean(np.zeros(DIM, np.float32)), reference_weight=DEFAULT_WEIGHT
        ),
        known_answer=KnownAnswer(file=KNOWN_ANSWER, tolerance=TOLERANCE),
        training=training,
        scores={},
        licence=LICENCE,
    )


def _scores(choice: WeightChoice | None) -> dict[str, float | int | str]:
    if choice is None:
        return {"held_out_clips": 0, "held_out_pairs": 0}
    named = {"0": 0.0, "w": choice.weight, "1": 1.0}
    scores: dict[str, float | int | str] = {
        "held_out_clips": choice.n_clips,
        "held_out_pairs": choice.same.n_pairs,
        "other_pairs": choice.other.n_pairs if choice.other else 0,
    }
    situations = [("", choice.same)] + ([("other_", choice.other)] if choice.other else [])
    for prefix, situation in situations:
        for name, weight in named.items():
            scores[f"{prefix}first_{name}"] = round(situation.recall_at_1[weight], 4)
            scores[f"{prefix}rank_{name}"] = round(situation.reciprocal_rank[weight], 4)
    return scores
