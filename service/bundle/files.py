"""Reading, verifying and writing bundles on disk.

Training writes the manifest with `write_manifest`. The service opens bundles with `load_bundle`,
which verifies the hash of every file, that of the manifest included, before any of them is used.
"""

from __future__ import annotations

import hashlib
import logging
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
HASHED_SINCE = 3
"""The first version of the manifest that has a hash of itself."""

_LOGGER = logging.getLogger(__name__)


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
        BundleError: The manifest is missing, invalid or damaged, or a file differs from its entry
            in the manifest; the message names the file.
    """
    manifest_path = path / MANIFEST_FILE
    try:
        content = manifest_path.read_bytes()
        manifest = BundleManifest.model_validate_json(content)
    except OSError as error:
        raise BundleError(f"{path} is no bundle: {MANIFEST_FILE}: {error.strerror}") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise BundleError(f"{manifest_path}: {'; '.join(faults)}") from error
    _verify_manifest(manifest_path, content, manifest)
    for name, entry in manifest.files.items():
        _verify(path / name, entry)
    return Bundle(path, manifest)


def write_manifest(path: Path, manifest: BundleManifest) -> None:
    """Write `bundle.json` into the directory `path`, completely or not at all.

    A manifest of an older version is written in the present one: it has the defaults of its fields.
    """
    update = {"schema_version": SCHEMA_VERSION, "manifest_sha256": ""}
    content = (manifest.model_copy(update=update).model_dump_json(indent=2) + "\n").encode()
    digest = hashlib.sha256(content).hexdigest()
    field = b'"manifest_sha256": "'
    with atomic_write(path / MANIFEST_FILE) as file:
        file.write(content.replace(field, field + digest.encode(), 1))


def hash_file(path: Path) -> FileEntry:
    """Return the entry of a file in the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, size_bytes=file.tell())


def _verify_manifest(path: Path, content: bytes, manifest: BundleManifest) -> None:
    """Compare the bytes of a manifest, without their digest, with the digest in them."""
    stated = manifest.manifest_sha256
    if stated is None:
        if manifest.schema_version >= HASHED_SINCE:
            raise BundleError(f"{path} is damaged or was changed: it has no manifest_sha256")
        _LOGGER.warning(
            "%s has format %d, in which damage to this file itself is not noticed;"
            " `minuend-train renew` writes the present format",
            path,
            manifest.schema_version,
        )
        return
    found = hashlib.sha256(content.replace(stated.encode(), b"", 1)).hexdigest()
    if found != stated:
        raise BundleError(
            f"{path} is damaged or was changed: without its manifest_sha256, its sha256 is {found},"
            f" and manifest_sha256 says {stated}"
        )


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
