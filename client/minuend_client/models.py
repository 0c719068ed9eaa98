"""What the service answers, as frozen values. Fields it may add later are passed over."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

Vector: TypeAlias = "array[float]"
"""An embedding: float32 values; ``numpy.asarray`` takes it without a copy."""

Model = TypeVar("Model", "Hit", "Notice", "Phrase", "Clip", "Changed")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a clip [s] and its raw embedding."""

    start_s: float
    end_s: float
    embedding: Vector


@dataclass(frozen=True, slots=True)
class Embedding:
    """One file, embedded.

    Attributes:
        embedding: Raw, not normalised: differences are taken on it.
        duration_s: Of the decoded file [s].
        sample_rate_hz: Of the file, before resampling [Hz].
        channels: Of the file.
        windows: Over time, if they were asked for.
    """

    embedding: Vector
    duration_s: float
    sample_rate_hz: int
    channels: int
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A clip that was found, or a window of it.

    Attributes:
        score: Cosine, -1 to 1; higher is nearer.
        contributions: What each term of the query gave to the score.
        start_s: Where in the clip the best window begins; 0 for a short clip, None for one whose
            length is not known [s].
        end_s: Where it ends; the end of a short clip [s].
    """

    clip_id: str
    score: float
    contributions: Mapping[str, float]
    metadata: Mapping[str, Any]
    duration_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about an answer that its reader should know; branch on ``code``."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a search, best first, and notices of what was done to the query."""

    hits: tuple[Hit, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words for a change."""

    phrase: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Changed:
    """Whether something was added.

    Attributes:
        changed: Whether the score is over the threshold.
        score: Higher is more of a change.
        threshold: Of the bundle.
        false_alarm_rate: Share of unchanged pairs that scored at least as high, 0 to 1.
    """

    changed: bool
    score: float
    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A stretch of a mixture [s], how far it is from its references, and words at a peak."""

    start_s: float
    end_s: float
    relative_norm: float
    phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a mixture has and its reference has not.

    Attributes:
        embedding: f(mixture) - f(reference).
        relative_norm: How far apart the two are, 0 and up.
        cosine: Of the centred mixture and reference, -1 to 1.
        hits: Clips nearest to what was added, best first.
        phrases: Words for the change, best first, where the bundle has them.
        answer: The whole answer, for what newer services add.
        spread: How far several references lie from their mean, on the scale of relative_norm.
        level_difference_db: RMS level of the mixture over the references [dB], where it is known.
        changed: Whether something was added, where the bundle can tell.
        curve: Over time, if it was asked for.
    """

    embedding: Vector
    relative_norm: float
    cosine: float
    hits: tuple[Hit, ...]
    phrases: tuple[Phrase, ...]
    answer: Mapping[str, Any] = field(repr=False, compare=False)
    spread: float | None = None
    level_difference_db: float | None = None
    changed: Changed | None = None
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of the library.

    Attributes:
        source: stored, referenced or vector.
        windows: How many windows of it are searched beside the whole; 0 for a short clip.
    """

    clip_id: str
    source: str
    metadata: Mapping[str, Any]
    created_at: str
    updated_at: str
    duration_s: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    windows: int = 0


@dataclass(frozen=True, slots=True)
class ClipPage:
    """Clips, oldest first, and the cursor of the next page or None on the last."""

    clips: tuple[Clip, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """How many clips a bulk upload made and how many it replaced."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class VectorClip:
    """A clip to upload as the raw embedding that the served encoder would give it."""

    id: str
    embedding: Sequence[float]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of one file of many: a clip, or the reason there is none."""

    name: str
    clip: Clip | None = None
    error: Exception | None = None


def to_base64(vector: Sequence[float]) -> str:
    """Encode values as base64 of little-endian float32."""
    values = array("f", vector)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode("ascii")


def from_base64(text: str) -> Vector:
    """Decode base64 of little-endian float32."""
    values = array("f")
    values.frombytes(base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        values.byteswap()
    return values


def parse_embedding(body: Mapping[str, Any]) -> Embedding:
    """Read one entry of an embed answer."""
    windows = tuple(
        Window(w["start_s"], w["end_s"], from_base64(w["embedding"]))
        for w in body.get("windows") or ()
    )
    return Embedding(
        from_base64(body["embedding"]),
        body["duration_s"],
        body["sample_rate_hz"],
        body["channels"],
        windows,
    )


def parse_hits(body: Mapping[str, Any]) -> tuple[Hit, ...]:
    """Read the hits of an answer."""
    return tuple(_pick(Hit, hit) for hit in body["hits"])


def parse_search(body: Mapping[str, Any]) -> SearchResult:
    """Read a search answer."""
    notices = tuple(_pick(Notice, notice) for notice in body.get("notices") or ())
    return SearchResult(parse_hits(body), notices)


def parse_difference(body: Mapping[str, Any]) -> Difference:
    """Read a difference answer."""
    return Difference(
        from_base64(body["embedding"]),
        body["relative_norm"],
        body["cosine"],
        parse_hits(body),
        _parse_phrases(body),
        body,
        spread=body.get("spread"),
        level_difference_db=body.get("level_difference_db"),
        changed=_pick(Changed, body["changed"]) if body.get("changed") else None,
        curve=tuple(
            CurvePoint(p["start_s"], p["end_s"], p["relative_norm"], _parse_phrases(p))
            for p in body.get("curve") or ()
        ),
    )


def parse_clip(body: Mapping[str, Any]) -> Clip:
    """Read an answer about one clip."""
    return _pick(Clip, body["clip"])


def parse_page(body: Mapping[str, Any]) -> ClipPage:
    """Read a page of the library."""
    return ClipPage(tuple(_pick(Clip, clip) for clip in body["clips"]), body["next_cursor"])


def parse_bulk(body: Mapping[str, Any]) -> BulkResult:
    """Read the answer to a bulk upload."""
    return BulkResult(body["created"], body["updated"])


def _parse_phrases(body: Mapping[str, Any]) -> tuple[Phrase, ...]:
    return tuple(_pick(Phrase, phrase) for phrase in body.get("phrases") or ())


def _pick(kind: type[Model], body: Mapping[str, Any]) -> Model:
    known = (item.name for item in fields(kind))
    return kind(**{name: body[name] for name in known if name in body})
