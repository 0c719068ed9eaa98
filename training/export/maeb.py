"""The encoder of MTEB (Massive Text Embedding Benchmark) for its audio tasks, MAEB, from a bundle.

    import mteb
    from training.export.maeb import load_encoder

    mteb.evaluate(load_encoder("models/default"), mteb.get_tasks(tasks=["ESC50"]))

The class follows ``mteb.models.models_protocols.EncoderProtocol`` and does not import mteb, except
for the description of the model. An embedding is that of the whole clip, as it is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from service.audio.decoding import resample
from service.bundle.files import load_bundle
from service.inference.encoder import Encoder
from training.errors import DatasetError

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

ORGANISATION = "minuend"

Matrix = Float[np.ndarray, "rows dim"]


class MaebEncoder:
    """A bundle's encoder with the methods that MTEB calls.

    Args:
        model_name: Folder of the bundle.
        revision: Not used; the revision is the fingerprint of the encoder.
        device: Where the encoder runs: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BundleError: The folder holds no valid bundle.
    """

    def __init__(
        self, model_name: str, revision: str | None = None, device: str | None = None, **_: Any
    ) -> None:
        opened = load_bundle(Path(model_name))
        self.manifest = opened.manifest
        self.encoder = Encoder.open(opened, device="cpu" if device == "cpu" else "auto")

    def encode(
        self, inputs: Iterable[Mapping[str, Any]], *_: Any, **__: Any
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed the clips of all batches.

        Args:
            inputs: Batches; each has ``audio``, a list of mappings with ``array`` (samples of full
                scale 1, or channels of them) and ``sampling_rate`` [Hz].

        Raises:
            DatasetError: A batch has no audio, or a clip has no samples.
        """
        rows = [self.encoder.embed([self._read(clip) for clip in _audio(b)]) for b in inputs]
        if not rows:
            raise DatasetError("there is nothing to embed")
        return np.concatenate(rows)

    def similarity(self, embeddings1: Matrix, embeddings2: Matrix) -> Float[np.ndarray, "n m"]:
        """Compute the cosine of every pair of rows."""
        cosines: np.ndarray = _directions(embeddings1) @ _directions(embeddings2).T
        return cosines

    def similarity_pairwise(
        self, embeddings1: Matrix, embeddings2: Matrix
    ) -> Float[np.ndarray, " n"]:
        """Compute the cosines of corresponding rows."""
        cosines: np.ndarray = (_directions(embeddings1) * _directions(embeddings2)).sum(axis=1)
        return cosines

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """Description of the encoder, for MTEB's results."""
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        return ModelMeta(
            loader=MaebEncoder,
            name=f"{ORGANISATION}/{self.manifest.id}",
            revision=self.manifest.encoder.fingerprint[:40],
            release_date=self.manifest.created,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=self.encoder.dim,
            license=self.manifest.licence.lower(),
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["ONNX"],
            similarity_fn_name=ScoringFunction.COSINE,
            use_instructions=False,
            training_datasets=None,
            modalities=["audio"],
        )

    def _read(self, clip: Mapping[str, Any]) -> Float32[np.ndarray, " samples"]:
        """Mix a clip down and resample it, as the service does."""
        samples = np.asarray(clip["array"], np.float32)
        if samples.ndim > 1:
            samples = samples.mean(axis=0)
        if samples.size == 0:
            raise DatasetError("a clip has no samples")
        return resample(samples, int(clip["sampling_rate"]), self.encoder.sample_rate)


def load_encoder(bundle: str | Path = "models/default", device: str | None = None) -> MaebEncoder:
    """Open the encoder of a bundle for MTEB.

    Raises:
        BundleError: The folder holds no valid bundle.
    """
    return MaebEncoder(str(bundle), device=device)


def _audio(batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "audio" not in batch:
        raise DatasetError(f"this encoder embeds audio only; a batch has {sorted(batch)}")
    clips: list[Mapping[str, Any]] = batch["audio"]
    return clips


def _directions(embeddings: Matrix) -> Matrix:
    """Scale rows to length 1; a row of zeros stays."""
    rows = np.atleast_2d(np.asarray(embeddings, np.float64))
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    directions: np.ndarray = rows / np.where(length > 0, length, 1.0)
    return directions
