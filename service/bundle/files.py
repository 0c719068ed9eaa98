"""Bundles on disk: written with what is true of them, and verified before they are used.

Training writes bundles with `write_manifest`, the service opens them with `load_bundle`, which
believes nothing: every file is hashed before anything of it is used.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pydantic import ValidationError

from service.bundle.manifest import (
    BundleManifest,
    EncoderVariant,
    FileEntry,
    Precision,
    decode_mean,
)
from service.errors import BundleError

MANIFEST_FILE = "bundle.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A directory whose files are what its manifest says.

    Attributes:
        path: The directory.
        manifest: What it says.
        variant: The encoder that is to run; None is the float32 one.
    """

    path: Path
    manifest: BundleManifest
    variant: EncoderVariant | None = None

    @property
    def encoder_file(self) -> Path:
        """The graph that is to run."""
        return self.file((self.variant or self.manifest.encoder).file)

    @property
    def precision(self) -> Precision:
        """The arithmetic of that graph."""
        return (self.variant or self.manifest.encoder).precision

    @property
    def tolerance(self) -> float:
        """How far it may deviate from the known answer, relative to the answer's largest value."""
        return (self.variant or self.manifest.known_answer).tolerance

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
