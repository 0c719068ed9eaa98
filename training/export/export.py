"""From a checkpoint to a bundle the service can load."""

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
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.data.attribution import HELD_OUT, TRAINED, describe_data, write_attribution
from training.data.store import ClipStore
from training.export.fingerprint import fingerprint
from training.export.graph import TOLERANCE, check_parity, write_graph
from training.export.known_answer import render_clip
from training.export.reference_weight import WeightChoice, choose_reference_weight
from training.export.variants import FEWEST_HELD_OUT, KINDS, Kind, add_variants
from training.model.encoder import DIM, PARTIAL_FRAMES, TIME_STRIDE
from training.model.frontend import HOP_LENGTH, SAMPLE_RATE
from training.model.model import CROP_SAMPLES, MIN_SAMPLES, EmbeddingModel
from training.pretraining.checkpoint import load_checkpoint
from training.pretraining.metrics import METRICS
from training.pretraining.pretrain import PARENT_ATTRIBUTION, Source
from training.pretraining.run import Progress, restore_statistics
from training.recipe import Recipe
from training.reports.cards import write_card

LICENCE = "Apache-2.0"
GRAPH = "encoder.onnx"
KNOWN_ANSWER = "known_answer.npz"
CONTEXT_FRAMES = 2  # an encoder frame depends on less than this many neighbours on either side
MEAN_CLIPS = 1_000  # clips that the mean embedding is taken over
DEFAULT_WEIGHT = 0.5  # of the reference, where nothing was held out to choose it by


def export(
    checkpoint: Path,
    out: Path,
    *,
    kinds: Sequence[Kind] = KINDS,
    tell: Callable[[str], object] = lambda _: None,
) -> Path:
    """Write the bundle of a checkpoint's online encoder.

    The bundle appears under its name only when it is complete and its graph gives what the torch
    model gives.

    Args:
        checkpoint: Of a run; the run's data must still be where it was.
        out: Folder of the bundle, replaced if there is one; its name is the bundle's id.
        kinds: Variants to make, see ``training.export.variants``.
        tell: Is told in a line what became of each variant.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: The name cannot be a bundle's id, or something else stands there.
        CheckpointError: The checkpoint cannot be read.
        DatasetError: The run's data is gone.
        ExportParityError: The exported graph differs from the torch model.
    """
    _check_target(out)
    content = load_checkpoint(checkpoint)
    recipe = Recipe.model_validate(content["recipe"])
    source = Source(Path(content["origin"]["data"]), Path(content["origin"]["cache"]))
    trained, held_out = source.open(recipe)
    model = load_model(content)
    staged = out.with_name(out.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    write_graph(model, staged / GRAPH)
    _write_known_answer(model, staged / KNOWN_ANSWER)
    manifest = _first_manifest(staged, out.name, model, content, trained)
    write_manifest(staged, manifest)

    encoder = Encoder.open(load_bundle(staged), device="cpu")
    parity = check_parity(model, encoder)
    mean = mean_embedding(encoder, trained, recipe.seed)
    choice = None
    if len(held_out.clips) >= FEWEST_HELD_OUT:
        choice = choose_reference_weight(encoder, held_out, mean, recipe.seed)
    weight = choice.weight if choice else DEFAULT_WEIGHT
    difference = DifferenceInfo(mean=encode_mean(mean), reference_weight=weight)
    scores = _scores(choice) | {"parity_with_torch": parity}
    manifest = manifest.model_copy(update={"difference": difference, "scores": scores})
    write_manifest(staged, manifest)
    for outcome in add_variants(staged, trained, held_out, recipe.seed, kinds=kinds):
        tell(outcome.line())

    manifest = load_bundle(staged).manifest
    shutil.copy(checkpoint.parent / METRICS, staged / METRICS)
    write_card(staged, manifest)
    roles = {TRAINED: trained.clips, HELD_OUT: held_out.clips}
    write_attribution(staged / "ATTRIBUTION.csv", roles, checkpoint.parent / PARENT_ATTRIBUTION)
    write_manifest(staged, with_files(staged, manifest))
    finished = load_bundle(staged)
    Encoder.open(finished, device="cpu").check(finished)
    shutil.rmtree(out, ignore_errors=True)
    staged.rename(out)
    return out


def _check_target(out: Path) -> None:
    if not re.match(ID_PATTERN, out.name):
        raise BundleError(
            f"{out.name!r} cannot name a bundle: letters, digits, '.', '_' and '-' are allowed, a "
            f"letter or a digit first, 128 in all"
        )
    if out.exists() and not (out / MANIFEST_FILE).is_file():
        raise BundleError(f"{out} is there and holds no bundle; choose another folder")


def load_model(content: dict[str, Any]) -> EmbeddingModel:
    """Take the online encoder and the statistics out of a checkpoint."""
    model = EmbeddingModel()
    prefix = "encoder."
    weights = {
        name.removeprefix(prefix): value
        for name, value in content["online"].items()
        if name.startswith(prefix)
    }
    model.encoder.load_state_dict(weights)
    restore_statistics(model, content)
    return model.eval()


def mean_embedding(encoder: Encoder, store: ClipStore, seed: int) -> Float32[np.ndarray, " dim"]:
    """Average the embeddings of up to 1,000 training clips drawn with the seed."""
    n = len(store.clips)
    chosen = np.random.default_rng(seed).permutation(n)[:MEAN_CLIPS]
    total = np.zeros(encoder.dim)
    for first in range(0, len(chosen), 32):
        clips = [store.clip(i) for i in chosen[first : first + 32]]
        total += encoder.embed(clips).sum(axis=0, dtype=np.float64)
    return (total / len(chosen)).astype(np.float32)


def _write_known_answer(model: EmbeddingModel, path: Path) -> None:
    clip = render_clip()
    with torch.inference_mode():
        answer = model(torch.from_numpy(clip)[None], torch.tensor([clip.size]))
    np.savez(path, waveform=clip, embedding=answer.embedding[0].numpy())


def _first_manifest(
    staged: Path, name: str, model: EmbeddingModel, content: dict[str, Any], trained: ClipStore
) -> BundleManifest:
    """Say all that is known before the exported encoder has run."""
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
        "held_out_pairs": choice.n_pairs,
    }
    for name, weight in named.items():
        scores[f"first_{name}"] = round(choice.recall_at_1[weight], 4)
        scores[f"rank_{name}"] = round(choice.reciprocal_rank[weight], 4)
    return scores


def with_files(staged: Path, manifest: BundleManifest) -> BundleManifest:
    """Return the manifest with every file of the folder listed."""
    names = sorted(p.name for p in staged.iterdir() if p.name != MANIFEST_FILE)
    return manifest.model_copy(update={"files": {name: hash_file(staged / name) for name in names}})
