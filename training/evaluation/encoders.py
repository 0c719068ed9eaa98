"""What is evaluated: the encoder of a bundle as it is served, or something to compare it with."""

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
from training.errors import DatasetError
from training.export.load import load_bundle
from training.model.frontend import LogMel
from training.model.model import EmbeddingModel

Statistics = Literal["bundle", "dataset"]
RANDOM = "random"
LOG_MEL = "log-mel"


class Embedder(Protocol):
    """Turns sounds into vectors.

    Attributes:
        manifest: Of the bundle it comes from, if it comes from one.
    """

    manifest: BundleManifest | None

    @property
    def identity(self) -> str:
        """Tell its vectors from those of any other."""

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Take normalisation statistics from training clips, where it uses any of a data set."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips at 16 kHz."""

    def describe(self) -> dict[str, Any]:
        """Say what it is, for a results file."""


def open_embedder(name: str, statistics: Statistics = "bundle", threads: int = 0) -> Embedder:
    """Open what is named.

    Args:
        name: Folder of a bundle; ``random`` or ``random:SEED``, an encoder of the same shape that
            has learnt nothing; or ``log-mel``, mean and standard deviation of the log-mel.
        statistics: Normalise by the statistics inside the bundle, as it is served, or by those of
            each data set, as the paper does.
        threads: Of a bundle that is run as it is served; 0 for one a core.

    Raises:
        BundleError: It is no bundle.
        DatasetError: The seed is no number.
    """
    kind, _, seed = name.partition(":")
    if kind == LOG_MEL:
        return LogMelEmbedder()
    if kind == RANDOM:
        if not (seed or "0").isdigit():
            raise DatasetError(f"{name!r} names no encoder: after 'random:' stands a seed")
        return TorchEmbedder(random_model(int(seed or 0)), name=f"{RANDOM}:{int(seed or 0)}")
    if statistics == "dataset":
        loaded = load_bundle(Path(name))
        return TorchEmbedder(
            loaded.model, name=loaded.manifest.encoder.fingerprint, manifest=loaded.manifest
        )
    opened = bundle.load_bundle(Path(name))
    return BundleEmbedder(Encoder.open(opened, device="auto", threads=threads), opened.manifest)


def random_model(seed: int) -> EmbeddingModel:
    """Make an encoder that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EmbeddingModel().eval()


@dataclass(slots=True)
class BundleEmbedder:
    """The encoder of a bundle, run the way the service runs it."""

    encoder: Encoder
    manifest: BundleManifest | None

    @property
    def identity(self) -> str:
        """The fingerprint: it already tells apart what differs in a number."""
        return self.encoder.fingerprint

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Keep the statistics of the graph."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips of any length."""
        return self.encoder.embed(clips)

    def describe(self) -> dict[str, Any]:
        """Say which bundle it is."""
        assert self.manifest is not None
        return describe_bundle(self.manifest) | {"statistics": "bundle"}


@dataclass(slots=True)
class TorchEmbedder:
    """An encoder run by torch, normalised by the statistics of the data set at hand.

    Attributes:
        model: In evaluation mode.
        name: Tells its weights from others.
        manifest: Of the bundle the weights are from, if any.
    """

    model: EmbeddingModel
    name: str
    manifest: BundleManifest | None = None

    @property
    def identity(self) -> str:
        """Hash the weights' name and the statistics."""
        values = f"{self.name} {float(self.model.mean):.6f} {float(self.model.std):.6f}"
        return hashlib.sha256(values.encode()).hexdigest()

    @torch.inference_mode()
    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Set mean and standard deviation from all log-mel values of the clips."""
        count, total, squares = 0, 0.0, 0.0
        for clip in clips:
            log_mel = self.model.frontend(torch.from_numpy(clip)[None]).double()
            count += log_mel.numel()
            total += float(log_mel.sum())
            squares += float(log_mel.square().sum())
        mean = total / count
        self.model.mean.fill_(mean)
        self.model.std.fill_((squares / count - mean**2) ** 0.5)

    @torch.inference_mode()
    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips in one padded batch; what pads them is ignored."""
        lengths = torch.tensor([clip.size for clip in clips])
        batch = torch.zeros(len(clips), int(lengths.max()))
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.size] = torch.from_numpy(clip)
        embeddings: np.ndarray = self.model(batch, lengths).embedding.numpy()
        return embeddings

    def describe(self) -> dict[str, Any]:
        """Say which weights they are."""
        known = (
            describe_bundle(self.manifest) if self.manifest else {"id": self.name, "kind": RANDOM}
        )
        return known | {"statistics": "dataset"}


@dataclass(slots=True)
class LogMelEmbedder:
    """Mean and standard deviation over time of each log-mel band: what no learning gives."""

    frontend: LogMel = field(default_factory=LogMel)
    manifest: BundleManifest | None = None

    @property
    def identity(self) -> str:
        """There is only one."""
        return hashlib.sha256(LOG_MEL.encode()).hexdigest()

    def fit(self, clips: Iterable[Float32[np.ndarray, " samples"]]) -> None:
        """Use no statistics: the probe standardises."""

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
        """Say what it is."""
        return {"id": LOG_MEL, "kind": LOG_MEL, "statistics": "none"}


def describe_bundle(manifest: BundleManifest) -> dict[str, Any]:
    """Say which bundle it is and how it was trained, the whole recipe included."""
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
