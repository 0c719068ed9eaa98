"""Sounds, and the values that ids may have: content, and metadata with a version of its own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import synth

DIM = 16
KINDS = ("rain", "wind", "fire")
LONGEST_S = 1.0
"""Longer sounds have windows of this length; most sounds are shorter [s]."""
_LONG_SHARE = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """An audio file.

    Attributes:
        data: Its bytes.
        sha256: Their digest.
        media_type: Media type that the service finds.
        sample_rate_hz: Sample rate [Hz].
        duration_s: Length [s].
    """

    data: bytes = field(repr=False)
    sha256: str
    media_type: str
    sample_rate_hz: int
    duration_s: float

    @property
    def derived_id(self) -> str:
        """Id of a clip that is added without one."""
        return self.sha256[:32]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What an id has after one write.

    Attributes:
        version: Unique to the write; empty for an id that does not exist.
        metadata: The metadata, which include the version.
        source: `stored`, `referenced` or `vector`.
        content: Audio; None for a vector.
        vector: Raw embedding of a clip without audio.
        fingerprint: Encoder of that embedding.
    """

    version: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    content: Content | None = None
    vector: tuple[float, ...] = ()
    fingerprint: str = ""

    def __str__(self) -> str:
        if not self.version:
            return "absent"
        content = self.content.sha256[:8] if self.content else "vector"
        return f"version {self.version} ({self.source}, {content})"

    def is_record(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record of the API is of this value."""
        content = self.content
        if not self.version or record["metadata"] != self.metadata:
            return False
        if content is None:
            return record["source"] == "vector" and record["sha256"] is record["audio"] is None
        return (
            record["source"] == self.source
            and record["sha256"] == content.sha256
            and record["size_bytes"] == len(content.data)
            and record["sample_rate_hz"] == content.sample_rate_hz
            and record["channels"] == 1
            and self._has_length(record)
        )

    def is_hit(self, hit: Mapping[str, Any]) -> bool:
        """Return whether a hit of a search is of this value."""
        if not self.version or hit["metadata"] != self.metadata:
            return False
        return hit["media_type"] is None if self.content is None else self._has_length(hit)

    def is_found_by(self, fingerprint: str) -> bool:
        """Return whether a service with this encoder finds the clip."""
        return self.content is not None or (self.version != "" and self.fingerprint == fingerprint)

    def _has_length(self, body: Mapping[str, Any]) -> bool:
        content = self.content
        return (
            content is not None
            and body["media_type"] == content.media_type
            and abs(body["duration_s"] - content.duration_s) < 1e-3
        )


ABSENT = Value("")


def is_absent(value: Value) -> bool:
    return value is ABSENT


def is_present(value: Value) -> bool:
    return value is not ABSENT


def make_content(rng: random.Random) -> Content:
    """Make a sound of 0.1 s to 1 s, or sometimes up to 3 s."""
    is_long = rng.random() < _LONG_SHARE
    duration_s = rng.uniform(1.2, 3.0) if is_long else rng.uniform(0.1, 0.9 * LONGEST_S)
    sample_rate_hz = rng.choice((8_000, 16_000))
    sweep = synth.chirp(
        rng.uniform(100, 3000), rng.uniform(100, 3000), duration_s, sample_rate=sample_rate_hz
    )
    noise = synth.noise(rng.getrandbits(32), duration_s, amplitude=0.05, sample_rate=sample_rate_hz)
    samples = rng.uniform(0.2, 1.5) * sweep + rng.random() * noise
    form, media_type = rng.choice((("WAV", "audio/wav"), ("FLAC", "audio/flac")))
    data = synth.encode(
        np.clip(samples, -1, 1).astype(np.float32),
        sample_rate=sample_rate_hz,
        form=form,
        subtype="PCM_16",
    )
    digest = hashlib.sha256(data).hexdigest()
    return Content(data, digest, media_type, sample_rate_hz, len(samples) / sample_rate_hz)


def make_metadata(rng: random.Random, writer: str, version: str) -> dict[str, Any]:
    """Make metadata of a write; `writer` names the owner of the id."""
    return {
        "v": version,
        "writer": writer,
        "kind": rng.choice(KINDS),
        "year": rng.randint(1900, 2030),
        "tags": [rng.choice(KINDS), "über", rng.random() < 0.5],
    }


def make_vector(rng: random.Random) -> tuple[float, ...]:
    """Make a raw embedding that half precision holds exactly."""
    values = np.random.default_rng(rng.getrandbits(32)).gamma(1.0, 2.0, DIM)
    return tuple(values.astype(np.float16).astype(float).tolist())
