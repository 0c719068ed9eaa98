"""The manifest `bundle.json` of a bundle: the contract between training and the service."""

from __future__ import annotations

import base64
from typing import Annotated, Literal, Self

import numpy as np
from jaxtyping import Float32
from pydantic import Field, field_validator, model_validator

from service.bundle.records import FileName, PositiveInt, Record, Sha256
from service.bundle.understanding import UnderstandingInfo

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
Precision = Literal["float32", "int8", "float16"]

SCHEMA_VERSION = 3
"""The version that is written; versions 1 and 2 can still be read."""
GEOMETRY = frozenset({"frame_stride", "floor_samples", "pooling"})
"""Fields of the encoder that were added in version 2."""


class FileEntry(Record):
    """Size and hash of one file of the bundle."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class ResamplerInfo(Record):
    """The resampler of the training audio."""

    name: str
    quality: str


class EncoderVariant(Record):
    """The encoder in another arithmetic; it passed the gate of `training.export.gate`.

    Attributes:
        file: Name of the ONNX file; its inputs and outputs are those of the float32 encoder.
        precision: Arithmetic of the graph.
        tolerance: Largest deviation from the known answer, relative to its largest magnitude.
        cpu_speed: Clips per CPU second relative to float32, measured at export.
        figures: Measurements of the gate.
    """

    file: FileName
    precision: Literal["int8", "float16"]
    tolerance: Annotated[float, Field(gt=0)]
    cpu_speed: Annotated[float, Field(gt=0)]
    figures: dict[str, float]


class EncoderInfo(Record):
    """The graph of the encoder, and its geometry.

    Attributes:
        file: Name of the ONNX file.
        fingerprint: Identity of the embeddings; from weights and constants, not from the file.
        sample_rate_hz: Sample rate of its waveforms [Hz].
        dim: Length of an embedding.
        frame_rate_hz: Encoder frames per second; one frame is `block_samples` samples.
        min_samples: A shorter clip counts as one of this length.
        block_samples: Samples of one encoder frame.
        context_frames: Frames on either side on which an encoder frame depends.
        partial_frames: Frames of one partial sum and maximum.
        frame_stride: Log-mel frames of one encoder frame.
        floor_samples: A shorter clip costs as much as one of this length.
        pooling: How frames are pooled: the mean over time plus the maximum over time.
        resampler: The resampler of its training audio.
        precision: Arithmetic of the graph.
        variants: The encoder in other arithmetics; they share the fingerprint.
    """

    file: FileName
    fingerprint: Sha256
    sample_rate_hz: PositiveInt
    dim: PositiveInt
    frame_rate_hz: float
    min_samples: PositiveInt
    block_samples: PositiveInt
    context_frames: Annotated[int, Field(ge=0)]
    partial_frames: PositiveInt
    frame_stride: PositiveInt = 4
    floor_samples: PositiveInt = 15_200
    pooling: Literal["mean+max"] = "mean+max"
    resampler: ResamplerInfo
    precision: Literal["float32"]
    variants: tuple[EncoderVariant, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.frame_rate_hz * self.block_samples != self.sample_rate_hz:
            raise ValueError("frame_rate_hz * block_samples must be sample_rate_hz")
        if self.block_samples % self.frame_stride:
            raise ValueError("block_samples must be a multiple of frame_stride")
        if self.context_frames > self.partial_frames:
            raise ValueError("context_frames must not exceed partial_frames")
        precisions = [variant.precision for variant in self.variants]
        if len(set(precisions)) < len(precisions):
            raise ValueError(f"one variant of each precision is allowed, not {precisions}")
        return self

    def count_frames(self, n_samples: int) -> int:
        """Count the encoder frames of a clip; an incomplete last frame is dropped."""
        hop_samples = self.block_samples // self.frame_stride
        return (1 + max(n_samples, self.min_samples) // hop_samples) // self.frame_stride

    def count_partials(self, n_samples: int) -> int:
        """Count the partials of a clip; the last one may have fewer frames."""
        return -(-self.count_frames(n_samples) // self.partial_frames)


class DifferenceInfo(Record):
    """Parameters of the search by difference.

    Attributes:
        mean: Mean embedding of the training clips, base64 of little-endian float32 [dim].
        reference_weight: Share of the reference that is subtracted, 0 to 1.
    """

    mean: str
    reference_weight: Annotated[float, Field(ge=0, le=1)]

    @field_validator("mean")
    @classmethod
    def _check_mean(cls, text: str) -> str:
        if not np.isfinite(np.frombuffer(base64.b64decode(text, validate=True), "<f4")).all():
            raise ValueError("every value must be finite")
        return text


class KnownAnswer(Record):
    """A stored clip and its embedding.

    Attributes:
        file: An npz of `waveform` float32 [samples] and `embedding` float32 [dim].
        tolerance: Largest deviation, relative to the largest magnitude in the embedding.
    """

    file: FileName
    tolerance: Annotated[float, Field(gt=0)]


class DataSource(Record):
    """The part of the training data from one corpus, with the number of clips of each licence."""

    corpus: str
    clips: int
    seconds: float
    licences: dict[str, int]


class TrainingInfo(Record):
    """The training of the encoder.

    Attributes:
        recipe: All settings.
        recipe_sha256: Hash of the settings.
        commit: Commit of the training code.
        samples_seen: Crops in training, those of the parent included.
        data: Training data.
        parent: Fingerprint of the encoder from which training started.
        precision: Precision of the matrix products in training; None if it was not recorded.
    """

    recipe: dict[str, object]
    recipe_sha256: Sha256
    commit: str
    samples_seen: int
    data: list[DataSource]
    parent: str | None
    precision: str | None = None


class TowersTraining(Record):
    """The training of the towers."""

    recipe: dict[str, object]
    recipe_sha256: Sha256
    commit: str
    pairs: int
    data: list[DataSource]


class TowersInfo(Record):
    """The towers, which project sounds and texts into one space (paper, section 5.3).

    A query is l2(audio + strength * text), an item is l2(audio), and a score their inner product.

    Attributes:
        fingerprint: Identity of the vectors; from both towers, the tokeniser and the encoder.
        dim: Length of a vector.
        audio_tower: ONNX file: `embedding` float32 [batch, encoder dim], raw, of a sound or of a
            difference (`service.difference.remainder`), -> `vector` float32 [batch, dim].
        difference: ONNX file of a trained difference, see `service.inference.towers`, or None.
        text_encoder: ONNX file: `input_ids` and `attention_mask` int64 [batch, tokens] ->
            `vector` float32 [batch, dim]; it contains the text tower.
        text_precision: Precision of the stored weights of the text encoder.
        tokenizer: File of the tokeniser.
        max_tokens: Most tokens of a text, special tokens included.
        text_bank: JSON of the phrases for changes, see `service.inference.phrases`.
        known_answer: An npz of `embedding` [dim of the encoder] and `text`, with the vectors
            `audio_vector` and `text_vector` [dim] of the two; with a trained difference also
            `difference_vector`, of the embedding without `reference`; with `understanding` also
            `sounds`, "change: words" of each sound, and `unknown`, the probability of that.
        understanding: How sounds and changes are told from a text; None for a bundle without.
    """

    fingerprint: Sha256
    dim: PositiveInt
    audio_tower: FileName
    text_encoder: FileName
    text_precision: Literal["float32", "float16", "int8"]
    tokenizer: FileName
    max_tokens: PositiveInt
    text_bank: FileName
    known_answer: KnownAnswer
    difference: FileName | None = None
    training: TowersTraining
    scores: dict[str, float | int | str]
    understanding: UnderstandingInfo | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the towers."""
        difference = (self.difference,) if self.difference else ()
        graphs = self.audio_tower, self.text_encoder, *difference
        novelty = (self.understanding.novelty,) if self.understanding else ()
        return (*graphs, self.tokenizer, self.text_bank, self.known_answer.file, *novelty)


class ChangeInfo(Record):
    """The change detector, see `service.retrieval.change_detector`.

    Attributes:
        file: An npz of the arrays of a discriminant and its calibration.
        false_alarm_rate: Share of unchanged pairs above the threshold, which was set on recordings
            that were not used in the fit, 0 to 1.
        excerpt_s: Length of the excerpts of the calibration [s].
        commit: Commit of the code of the fit.
        data: Data of the fit.
        scores: Results of its evaluation.
    """

    file: FileName
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)]
    excerpt_s: Annotated[float, Field(gt=0)]
    commit: str
    data: list[DataSource]
    scores: dict[str, float | int | str]


class BundleManifest(Record):
    """The content of `bundle.json`; `files` lists all files of the bundle except the manifest.

    `manifest_sha256` is the SHA-256 of `bundle.json` itself, without these 64 digits; versions 1
    and 2 have no such field. Version 1 has no fields for the geometry (`GEOMETRY`) of the encoder,
    which was fixed.
    """

    manifest_sha256: Sha256 | None = None
    schema_version: Literal[1, 2, 3]
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    created: str
    files: dict[FileName, FileEntry]
    encoder: EncoderInfo
    difference: DifferenceInfo
    known_answer: KnownAnswer
    towers: TowersInfo | None = None
    change: ChangeInfo | None = None
    training: TrainingInfo
    scores: dict[str, float | int | str]
    licence: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.schema_version > 1 and (missing := GEOMETRY - self.encoder.model_fields_set):
            raise ValueError(f"encoder must have {', '.join(sorted(missing))}")
        variants = tuple(variant.file for variant in self.encoder.variants)
        change = (self.change.file,) if self.change else ()
        used = (self.encoder.file, *variants, self.known_answer.file, *change)
        for name in used + (self.towers.files if self.towers else ()):
            if name not in self.files:
                raise ValueError(f"{name} is used but not listed in files")
        if decode_mean(self.difference.mean).size != self.encoder.dim:
            raise ValueError("difference.mean must hold encoder.dim values")
        return self


def encode_mean(mean: Float32[np.ndarray, " dim"]) -> str:
    """Encode a mean embedding for the manifest."""
    return base64.b64encode(mean.astype("<f4").tobytes()).decode("ascii")


def decode_mean(text: str) -> Float32[np.ndarray, " dim"]:
    """Decode the mean embedding of a manifest."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
