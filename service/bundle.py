"""The contract between the two halves: what a bundle's `bundle.json` says, and that it is true.

Training writes bundles with `write_manifest`, the service opens them with `load_bundle`, which
believes nothing: every file is hashed before anything of it is used.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from service.audio import RESAMPLER, RESAMPLER_QUALITY
from service.errors import BundleError

MANIFEST_FILE = "bundle.json"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
PositiveInt = Annotated[int, Field(gt=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Record):
    """Size and hash of one file of the bundle."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class ResamplerInfo(_Record):
    """What brought the training audio to the encoder's rate."""

    name: str
    quality: str


class EncoderInfo(_Record):
    """The encoder graph and the numbers that running it takes.

    Attributes:
        file: Name of the ONNX file.
        fingerprint: Identity of the embeddings; over weights and constants, not over file bytes.
        sample_rate_hz: Rate of the waveform it takes [Hz].
        dim: Length of an embedding.
        frame_rate_hz: Encoder frames per second; one frame is `block_samples` samples.
        min_samples: A shorter clip counts as this long.
        block_samples: Samples of one encoder frame.
        context_frames: Frames on either side that an encoder frame depends on.
        partial_frames: Frames of one partial sum and maximum.
        resampler: The resampler it was trained with.
        precision: Arithmetic of the graph.
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
    resampler: ResamplerInfo
    precision: Literal["float32"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.resampler != ResamplerInfo(name=RESAMPLER, quality=RESAMPLER_QUALITY):
            raise ValueError(
                f"the encoder was trained with resampler {self.resampler.name} "
                f"{self.resampler.quality}, this version has {RESAMPLER} {RESAMPLER_QUALITY} only"
            )
        if self.frame_rate_hz * self.block_samples != self.sample_rate_hz:
            raise ValueError("frame_rate_hz * block_samples must be sample_rate_hz")
        if self.context_frames > self.partial_frames:
            raise ValueError("context_frames must not exceed partial_frames")
        return self


class DifferenceInfo(_Record):
    """What search by difference needs.

    Attributes:
        mean: Mean embedding of the training clips, base64 of little-endian float32 [dim].
        reference_weight: Weight of the reference that is subtracted, 0 to 1.
    """

    mean: str
    reference_weight: Annotated[float, Field(ge=0, le=1)]

    @field_validator("mean")
    @classmethod
    def _check_mean(cls, text: str) -> str:
        if not np.isfinite(np.frombuffer(base64.b64decode(text, validate=True), "<f4")).all():
            raise ValueError("every value must be finite")
        return text


class KnownAnswer(_Record):
    """A stored clip and its embedding.

    Attributes:
        file: An npz of `waveform` float32 [samples] and `embedding` float32 [dim].
        tolerance: Largest deviation, relative to the largest magnitude in the embedding.
    """

    file: FileName
    tolerance: Annotated[float, Field(gt=0)]


class DataSource(_Record):
    """What one corpus gave to the training, and under which licences (clips of each)."""

    corpus: str
    clips: int
    seconds: float
    licences: dict[str, int]


class TrainingInfo(_Record):
    """Where the encoder comes from; `parent` is the fingerprint that training went on from."""

    recipe: dict[str, object]
    recipe_sha256: Sha256
    commit: str
    samples_seen: int
    data: list[DataSource]
    parent: str | None


class BundleManifest(_Record):
    """`bundle.json`. `files` lists every file of the bundle but the manifest itself."""

    schema_version: Literal[1]
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    created: str
    files: dict[FileName, FileEntry]
    encoder: EncoderInfo
    difference: DifferenceInfo
    known_answer: KnownAnswer
    training: TrainingInfo
    scores: dict[str, float | int | str]
    licence: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in (self.encoder.file, self.known_answer.file):
            if name not in self.files:
                raise ValueError(f"{name} is used but not listed in files")
        if decode_mean(self.difference.mean).size != self.encoder.dim:
            raise ValueError("difference.mean must hold encoder.dim values")
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A directory whose files are what its manifest says."""

    path: Path
    manifest: BundleManifest

    @property
    def mean(self) -> Float32[np.ndarray, " dim"]:
        """The mean embedding of the training clips."""
        return decode_mean(self.manifest.difference.mean)

    def file(self, name: str) -> Path:
        """Return the path of a file of this bundle."""
        return self.path / name


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every file of it.

    Raises:
        BundleError: The manifest is missing or wrong, or a file is not what the manifest says;
            the message names the file.
    """
    manifest_path = path / MANIFEST_FILE
    try:
        manifest = BundleManifest.model_validate_json(manifest_path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path} is no bundle: {MANIFEST_FILE}: {error.strerror}") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise BundleError(f"{manifest_path}: {'; '.join(faults)}") from error
    for name, entry in manifest.files.items():
        _verify(path / name, entry)
    return Bundle(path, manifest)


def write_manifest(path: Path, manifest: BundleManifest) -> None:
    """Write `bundle.json` into the directory `path`, whole or not at all."""
    temporary = path / f"{MANIFEST_FILE}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path / MANIFEST_FILE)


def hash_file(path: Path) -> FileEntry:
    """Measure a file as the manifest lists it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, size_bytes=file.tell())


def encode_mean(mean: Float32[np.ndarray, " dim"]) -> str:
    """Encode a mean embedding for the manifest."""
    return base64.b64encode(mean.astype("<f4").tobytes()).decode("ascii")


def decode_mean(text: str) -> Float32[np.ndarray, " dim"]:
    """Decode the mean embedding of a manifest."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)


def _verify(path: Path, entry: FileEntry) -> None:
    try:
        found = hash_file(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if found.size_bytes != entry.size_bytes:
        raise BundleError(
            f"{path} has {found.size_bytes} bytes, the manifest says {entry.size_bytes}"
        )
    if found.sha256 != entry.sha256:
        raise BundleError(
            f"{path} is damaged or was changed: its sha256 is {found.sha256}, "
            f"the manifest says {entry.sha256}"
        )
