"""Encoders to evaluate: that of a bundle as it is served, and baselines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float32

from service.bundle import files as bundle
from service.bundle.manifest import BundleManifest
from service.inference.encoder import Encoder
from training.errors import DatasetError, TeacherError
from training.export.load import load_bundle
from training.model.frontend import LogMel
from training.model.model import EmbeddingModel
from training.teacher.files import find_teacher
from training.teacher.yamnet import DIM, Yamnet

Statistics = Literal["bundle", "dataset"]
RANDOM = "random"
LOG_MEL = "log-mel"
TEACHER = "teacher"


class Embedder(Protocol):
    """An encoder that can be evaluated.

    Attributes:
        manifest: Manifest of its bundle; None if it has none.
    """

    manifest: BundleManifest | None

    @property
    def identity(self) -> str:
        """A text that differs wherever the embeddings differ."""

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Set normalisation statistics from training clips, if it uses those of a data set."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips at 16 kHz, of any length."""

    def describe(self) -> dict[str, Any]:
        """Describe it for a results file."""


def open_embedder(name: str, statistics: Statistics = "bundle", threads: int = 0) -> Embedder:
    """Open an encoder by its name.

    Args:
        name: Folder of a bundle; ``random`` or ``random:SEED`` for an untrained encoder of the
            same architecture; ``log-mel`` for mean and standard deviation of the log-mel;
            ``teacher`` for the teacher of distillation.
        statistics: Normalise by the statistics in the bundle, as served, or by those of each data
            set, as in the paper.
        threads: Threads of a bundle that runs as served; 0 for one for each core.

    Raises:
        BundleError: The folder holds no valid bundle.
        DatasetError: The seed is not a number.
        TeacherError: The teacher is not installed.
    """
    kind, _, seed = name.partition(":")
    if kind == LOG_MEL:
        return LogMelEmbedder()
    if kind == TEACHER:
        return TeacherEmbedder(Yamnet(find_teacher()))
    if kind == RANDOM:
        if not (seed or "0").isdigit():
            raise DatasetError(f"{name!r} is no encoder: a seed must follow 'random:'")
        return TorchEmbedder(random_model(int(seed or 0)), name=f"{RANDOM}:{int(seed or 0)}")
    if statistics == "dataset":
        loaded = load_bundle(Path(name))
        return TorchEmbedder(
            loaded.model, name=loaded.manifest.encoder.fingerprint, manifest=loaded.manifest
        )
    opened = bundle.load_bundle(Path(name))
    return BundleEmbedder(Encoder.open(opened, device="auto", threads=threads), opened.manifest)


def baselines() -> list[str]:
    """List the encoders that bundles are compared with; the teacher only if it is installed."""
    try:
        find_teacher()
    except TeacherError:
        return [f"{RANDOM}:0", LOG_MEL]
    return [f"{RANDOM}:0", LOG_MEL, TEACHER]


def random_model(seed: int) -> EmbeddingModel:
    """Make an untrained encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EmbeddingModel().eval()


@dataclass(slots=True)
class BundleEmbedder:
    """The encoder of a bundle, run in the same way as by the service."""

    encoder: Encoder
    manifest: BundleManifest | None

    @property
    def identity(self) -> str:
        """The fingerprint, which covers all weights and constants."""
        return self.encoder.fingerprint

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Do nothing: the statistics are in the graph."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips of any length."""
        return self.encoder.embed(clips)

    def describe(self) -> dict[str, Any]:
        """Describe the bundle."""
        assert self.manifest is not None
        return describe_bundle(self.manifest) | {"statistics": "bundle"}


@dataclass(slots=True)
class TorchEmbedder:
    """An encoder that torch runs, normalised by the statistics of the evaluated data set.

    Attributes:
        model: The model, in evaluation mode.
        name: Identity of its weights.
        manifest: Manifest of the bundle with these weights; None if there is none.
    """

    model: EmbeddingModel
    name: str
    manifest: BundleManifest | None = None

    @property
    def identity(self) -> str:
        """A hash of the name of the weights and of the statistics."""
        values = f"{self.name} {float(self.model.mean):.6f} {float(self.model.std):.6f}"
        return hashlib.sha256(values.encode()).hexdigest()

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Set mean and standard deviation to those of all log-mel values of the clips."""
        self.model.fit_statistics(torch.from_numpy(clip)[None] for clip in clips)

    @torch.inference_mode()
    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips in one batch; padding does not change the embeddings."""
        lengths = torch.tensor([clip.size for clip in clips])
        batch = torch.zeros(len(clips), int(lengths.max()))
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.size] = torch.from_numpy(clip)
        embeddings: np.ndarray = self.model(batch, lengths).embedding.numpy()
        return embeddings

    def describe(self) -> dict[str, Any]:
        """Describe the weights."""
        known = (
            describe_bundle(self.manifest) if self.manifest else {"id": self.name, "kind": RANDOM}
        )
        return known | {"statistics": "dataset"}


@dataclass(slots=True)
class LogMelEmbedder:
    """A baseline without learning: mean and standard deviation over time of each log-mel band."""

    frontend: LogMel = field(default_factory=LogMel)
    manifest: BundleManifest | None = None

    @property
    def identity(self) -> str:
        """A constant: there is only one such baseline."""
        return hashlib.sha256(LOG_MEL.encode()).hexdigest()

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Do nothing: the probe standardises the features."""

    @torch.inference_mode()
    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips one by one; ``dim`` is 128."""
        rows = []
        for clip in clips:
            log_mel = self.frontend(torch.from_numpy(clip)[None])[0]
            rows.append(torch.cat([log_mel.mean(dim=1), log_mel.std(dim=1, correction=0)]))
        stacked: np.ndarray = torch.stack(rows).numpy()
        return stacked

    def describe(self) -> dict[str, Any]:
        """Describe the baseline."""
        return {"id": LOG_MEL, "kind": LOG_MEL, "statistics": "none"}


@dataclass(slots=True)
class TeacherEmbedder:
    """The teacher: its mean embedding over patches, one every 0.48 s.

    Attributes:
        teacher: The network.
        manifest: None, since it is no bundle.
    """

    teacher: Yamnet
    manifest: BundleManifest | None = None

    @property
    def identity(self) -> str:
        """A constant: its files have one hash."""
        return hashlib.sha256(TEACHER.encode()).hexdigest()

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Do nothing: its input is not normalised."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips; those of one length in one batch. ``dim`` is 1024."""
        by_length: dict[int, list[int]] = {}
        for number, clip in enumerate(clips):
            by_length.setdefault(clip.size, []).append(number)
        embeddings = np.zeros((len(clips), DIM), np.float32)
        for numbers in by_length.values():
            batch = torch.from_numpy(np.stack([clips[number] for number in numbers]))
            embeddings[numbers] = self.teacher(batch).embedding.numpy()
        return embeddings

    def describe(self) -> dict[str, Any]:
        """Describe the teacher."""
        return {"id": "yamnet", "kind": TEACHER, "statistics": "none"}


def describe_bundle(manifest: BundleManifest) -> dict[str, Any]:
    """Describe a bundle and its training, the whole recipe included."""
    training = manifest.training
    return {
        "id": manifest.id,
        "kind": "bundle",
        "fingerprint": manifest.encoder.fingerprint,
        "samples_seen": training.samples_seen,
        "commit": training.commit,
        "parent": training.parent,
        "precision": training.precision,
        "recipe_sha256": training.recipe_sha256,
        "recipe": training.recipe,
    }
