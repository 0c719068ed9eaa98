"""An encoder without heads and optimiser, in files small enough to be passed on.

The folder holds ``encoder.json`` with the hash and size of every part, the parts (a checkpoint cut
into pieces), ``metrics.jsonl`` and ``ATTRIBUTION.csv``. ``pretrain --init`` and ``export`` read it.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from service.bundle.files import hash_file
from service.concurrency.durable import staged_folder
from training.data.attribution import HELD_OUT, TRAINED, write_attribution
from training.data.clips import TrainingData
from training.errors import CheckpointError
from training.export.fingerprint import fingerprint
from training.export.load import load_bundle
from training.model.model import EmbeddingModel
from training.pretraining.checkpoint import load_checkpoint
from training.pretraining.metrics import METRICS
from training.pretraining.run import restore_statistics
from training.recipe import Recipe

FORMAT = 1
HASHES = "encoder.json"
ATTRIBUTION = "ATTRIBUTION.csv"
PARENT_ATTRIBUTION = "parent-attribution.csv"
MEBIBYTE = 2**20
PART_BYTES = 15 * MEBIBYTE
ENCODER = "encoder."  # prefix of the encoder's parameters in a checkpoint
KEPT = ("format", "recipe", "origin", "progress", "statistics")


@dataclass(frozen=True, slots=True)
class Parent:
    """An encoder that a run starts from.

    Attributes:
        model: Encoder and statistics.
        fingerprint: Identity of its embeddings.
        samples_seen: Number of crops that it was trained on.
    """

    model: EmbeddingModel
    fingerprint: str
    samples_seen: int


def write_parts(checkpoint: Path, out: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Write the encoder of a checkpoint in parts.

    Args:
        checkpoint: Checkpoint of a run; the run's data must still be where it was.
        out: Folder to write; one that exists is replaced if it holds such an encoder.
        part_bytes: Largest size of a part.

    Returns:
        All files.

    Raises:
        CheckpointError: The checkpoint cannot be read, or ``out`` holds something else.
        DatasetError: The run's data is gone.
    """
    if out.exists() and not is_parts(out):
        raise CheckpointError(f"{out} is there and holds no encoder in parts")
    content = load_checkpoint(checkpoint)
    weights = {n: v.contiguous() for n, v in content["online"].items() if n.startswith(ENCODER)}
    if not weights:
        raise CheckpointError(f"{checkpoint} holds no encoder")
    buffer = io.BytesIO()
    torch.save({name: content[name] for name in KEPT} | {"online": weights}, buffer)
    recipe, origin = Recipe.model_validate(content["recipe"]), content["origin"]
    data = TrainingData(Path(origin["data"]), Path(origin["cache"]))
    trained, held_out = data.open(recipe)
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(out, replace=True) as staged:
        roles = {TRAINED: trained.clips, HELD_OUT: held_out.clips}
        parent = checkpoint.parent / PARENT_ATTRIBUTION
        write_attribution(staged / ATTRIBUTION, roles, parent)
        shutil.copy(checkpoint.parent / METRICS, staged / METRICS)
        hashes = _cut(buffer.getvalue(), staged, part_bytes)
        about = {"format": FORMAT, "parts": hashes}
        (staged / HASHES).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return sorted(out.iterdir())


def is_parts(folder: Path) -> bool:
    """Tell whether a folder holds an encoder in parts."""
    return (folder / HASHES).is_file()


def read_parts(folder: Path) -> dict[str, Any]:
    """Read an encoder in parts, as a checkpoint that has nothing else.

    Raises:
        CheckpointError: A part is missing or has another hash, or the format is not known.
    """
    try:
        about = json.loads((folder / HASHES).read_text(encoding="utf-8"))
        parts: Mapping[str, str] = about["parts"]
        if about["format"] != FORMAT:
            raise CheckpointError(f"{folder} has format {about['format']}, this is {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} holds no encoder in parts: {error}") from error
    for name, expected in parts.items():
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing")
        if hash_file(folder / name).sha256 != expected:
            raise CheckpointError(f"{folder / name} has another hash than in {HASHES}")
    joined = b"".join((folder / name).read_bytes() for name in parts)
    content: dict[str, Any] = torch.load(io.BytesIO(joined), map_location="cpu", weights_only=True)
    return content


def read_encoder(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run, or an encoder in parts.

    Raises:
        CheckpointError: It cannot be read.
    """
    return read_parts(path) if is_parts(path) else load_checkpoint(path)


def load_model(content: dict[str, Any]) -> EmbeddingModel:
    """Make the model of a checkpoint: online encoder and statistics."""
    model = EmbeddingModel()
    weights = {
        name.removeprefix(ENCODER): value
        for name, value in content["online"].items()
        if name.startswith(ENCODER)
    }
    model.encoder.load_state_dict(weights)
    restore_statistics(model, content)
    return model.eval()


def load_parent(path: Path) -> Parent:
    """Load the encoder of a bundle or of parts, to start a run from.

    Raises:
        BundleError: The folder is neither, or the bundle is damaged.
        CheckpointError: A part is missing or damaged.
    """
    if is_parts(path):
        content = read_parts(path)
        model, progress = load_model(content), content["progress"]
        samples_seen = progress["samples_seen"] + progress["parent_samples"]
        return Parent(model, fingerprint(model), samples_seen)
    loaded = load_bundle(path)
    manifest = loaded.manifest
    return Parent(loaded.model, manifest.encoder.fingerprint, manifest.training.samples_seen)


def _cut(content: bytes, folder: Path, part_bytes: int) -> dict[str, str]:
    """Write numbered parts of some bytes; return the hash of each."""
    hashes = {}
    for number, first in enumerate(range(0, len(content), part_bytes)):
        name = f"encoder-{number:02}.part"
        (folder / name).write_bytes(content[first : first + part_bytes])
        hashes[name] = hash_file(folder / name).sha256
    return hashes
