"""Reading, verifying and writing bundles on disk.

Training writes the manifest with `write_manifest`. The service opens bundles with `load_bundle`,
which verifies the hash of every file before any of them is used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pydantic import ValidationError

from service.bundle.manifest import (
    SCHEMA_VERSION,
    BundleManifest,
    EncoderVariant,
    FileEntry,
    Precision,
    decode_mean,
)
from service.concurrency.durable import atomic_write
from service.errors import BundleError

MANIFEST_FILE = "bundle.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: The directory of the bundle.
        manifest: The content of `bundle.json`.
        variant: The variant of the encoder that is used; None is the float32 encoder.
    """

    path: Path
    manifest: BundleManifest
    variant: EncoderVariant | None = None

    @property
    def encoder_file(self) -> Path:
        """The graph of the encoder that is used."""
        return self.file((self.variant or self.manifest.encoder).file)

    @property
    def precision(self) -> Precision:
        """The arithmetic of that graph."""
        return (self.variant or self.manifest.encoder).precision

    @property
    def tolerance(self) -> float:
        """Largest deviation from the known answer, relative to the answer's largest value."""
        return (self.variant or self.manifest.known_answer).tolerance

    @property
    def mean(self) -> Float32[np.ndarray, " dim"]:
        """The mean embedding of the training clips."""
        return decode_mean(self.manifest.difference.mean)

    def file(self, name: str) -> Path:
        """Return the path of a file of this bundle."""
        return self.path / name


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and verify all of its files.

    Raises:
        BundleError: The manifest is missing or invalid, or a file differs from its entry in the
            manifest; the message names the file.
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
    """Write `bundle.json` into the directory `path`, completely or not at all.

    A manifest of an older version is written in the present one: it has the defaults of its fields.
    """
    present = manifest.model_copy(update={"schema_version": SCHEMA_VERSION})
    with atomic_write(path / MANIFEST_FILE) as file:
        file.write((present.model_dump_json(indent=2) + "\n").encode())


def hash_file(path: Path) -> FileEntry:
    """Return the entry of a file in the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, size_bytes=file.tell())


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
