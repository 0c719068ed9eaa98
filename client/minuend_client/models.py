"""Answers of the service as frozen dataclasses. Unknown fields of newer services are ignored."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeVar

Vector: TypeAlias = "array[float]"
"""Embedding of float32 values; ``numpy.asarray`` does not copy it."""

Model = TypeVar(
    "Model",
    "Hit",
    "Notice",
    "UnderstoodSound",
    "Phrase",
    "Clip",
    "Changed",
    "Direction",
    "ChangeSide",
)


@dataclass(frozen=True, slots=True)
class Window:
    """Window of a clip [s] and its raw embedding."""

    start_s: float
    end_s: float
    embedding: Vector


@dataclass(frozen=True, slots=True)
class Embedding:
    """Embedding of one file.

    Attributes:
        embedding: Raw embedding, not normalised.
        duration_s: Duration of the decoded file [s].
        sample_rate_hz: Sample rate of the file, before resampling [Hz].
        channels: Channels of the file.
        windows: Its windows, if they were requested.
    """

    embedding: Vector
    duration_s: float
    sample_rate_hz: int
    channels: int
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """Clip that a search found, or a window of it.

    Attributes:
        score: Cosine, -1 to 1; higher is nearer.
        contributions: Parts of the terms of the query in the score.
        start_s: Start of the best window in the clip; 0 for a short clip, None if the duration is
            unknown [s].
        end_s: Its end; the duration of a short clip [s].
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
    """Note about an answer; ``code`` is stable, for decisions in programs."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class UnderstoodSound:
    """Sound that a text names.

    Attributes:
        change: What the text asks for: ``describe``, ``add``, ``remove``, ``louder``, ``quieter``,
            ``more``, ``less``, ``instead_of``, ``only`` or ``none``.
        sound: Words of the text.
        confidence: Probability of the change, 0 to 1.
    """

    change: str
    sound: str
    confidence: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of a search, best first, and notices about changes to the query.

    ``understood`` has the sounds of its text; it is empty if the bundle cannot tell.
    """

    hits: tuple[Hit, ...]
    notices: tuple[Notice, ...] = ()
    understood: tuple[UnderstoodSound, ...] = ()


@dataclass(frozen=True, slots=True)
class Phrase:
    """Phrase that describes a change; its reliability is None if the bundle does not tell."""

    phrase: str
    label: str
    score: float
    reliability: float | None = None


@dataclass(frozen=True, slots=True)
class Direction:
    """Score of one direction of a change.

    Attributes:
        score: Higher means more.
        threshold: Threshold of the bundle.
        false_alarm_rate: Share of unchanged pairs that scored at least as high, 0 to 1.
    """

    score: float
    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class Changed:
    """Decision whether something was added or removed.

    Attributes:
        changed: Whether a score is above its threshold.
        score: Score of the change; higher means more.
        threshold: Threshold of the bundle.
        false_alarm_rate: Share of unchanged pairs that scored at least as high, 0 to 1.
        what: "nothing", "added", "removed" or "both"; empty for an older service.
        leaning: What changed if anything did: "added", "removed" or "both"; empty for an older
            service.
        added: What the mixture has and the references lack; None for an older service.
        removed: The reverse; None for a bundle that is calibrated for added sounds alone.
    """

    changed: bool
    score: float
    threshold: float
    false_alarm_rate: float
    what: str = ""
    leaning: str = ""
    added: Direction | None = None
    removed: Direction | None = None


@dataclass(frozen=True, slots=True)
class ChangeSide:
    """A sound that one side has and the other lacks.

    Attributes:
        phrases: Phrases for it, best first.
        start_s: Where it starts in the sound that has it [s], if it is known.
        end_s: Where it ends [s].
        level_db: Its level over that of the rest while it lasts [dB], if it is known.
    """

    phrases: tuple[Phrase, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    level_db: float | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Window of a mixture [s], its distance from the references, and phrases at a peak."""

    start_s: float
    end_s: float
    relative_norm: float
    phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of a mixture and its reference.

    Attributes:
        embedding: f(mixture) - f(reference).
        relative_norm: Distance of the two, 0 and up.
        cosine: Cosine of the centred mixture and reference, -1 to 1.
        hits: Clips nearest to what was added, best first.
        phrases: Phrases for the change, best first, if the bundle has towers.
        answer: JSON of the answer, with the fields of newer services.
        spread: Distance of several references from their mean, on the scale of relative_norm.
        level_difference_db: RMS level of the mixture over the references [dB], if it is known.
        changed: Whether something was added or removed, if the bundle is calibrated.
        curve: Distance over time, if it was requested.
        description: What changed, in one or two sentences; empty for an older service.
        added: What the mixture has and the references lack.
        removed: What the references have and the mixture lacks.
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
    description: str = ""
    added: ChangeSide = ChangeSide()
    removed: ChangeSide = ChangeSide()


@dataclass(frozen=True, slots=True)
class Clip:
    """Clip of the library.

    Attributes:
        source: ``stored``, ``referenced`` or ``vector``.
        windows: Number of its windows in the index; 0 for a short clip.
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
    """Clips, oldest first, and the cursor of the next page; None on the last page."""

    clips: tuple[Clip, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Numbers of clips that a bulk upload created and replaced."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class VectorClip:
    """Clip to upload as a raw embedding of the served encoder."""

    id: str
    embedding: Sequence[float]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """Result for one of many files: a clip, or the reason why it was not stored."""

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
    """Parse one embedding of an answer of /embed."""
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
    """Parse the hits of an answer."""
    return tuple(_pick(Hit, hit) for hit in body["hits"])


def parse_search(body: Mapping[str, Any]) -> SearchResult:
    """Parse an answer of /search."""
    notices = tuple(_pick(Notice, notice) for notice in body.get("notices") or ())
    understood = tuple(_pick(UnderstoodSound, each) for each in body.get("understood") or ())
    return SearchResult(parse_hits(body), notices, understood)


def parse_difference(body: Mapping[str, Any]) -> Difference:
    """Parse an answer of /difference."""
    return Difference(
        from_base64(body["embedding"]),
        body["relative_norm"],
        body["cosine"],
        parse_hits(body),
        _parse_phrases(body),
        body,
        spread=body.get("spread"),
        level_difference_db=body.get("level_difference_db"),
        changed=_parse_changed(body["changed"]) if body.get("changed") else None,
        description=body.get("description") or "",
        added=_parse_side(body.get("added")),
        removed=_parse_side(body.get("removed")),
        curve=tuple(
            CurvePoint(p["start_s"], p["end_s"], p["relative_norm"], _parse_phrases(p))
            for p in body.get("curve") or ()
        ),
    )


def parse_clip(body: Mapping[str, Any]) -> Clip:
    """Parse an answer with one clip."""
    return _pick(Clip, body["clip"])


def parse_page(body: Mapping[str, Any]) -> ClipPage:
    """Parse a page of clips."""
    return ClipPage(tuple(_pick(Clip, clip) for clip in body["clips"]), body["next_cursor"])


def parse_bulk(body: Mapping[str, Any]) -> BulkResult:
    """Parse an answer of /clips/bulk."""
    return BulkResult(body["created"], body["updated"])


def _parse_changed(body: Mapping[str, Any]) -> Changed:
    added, removed = (
        _pick(Direction, body[name]) if body.get(name) else None for name in ("added", "removed")
    )
    return replace(_pick(Changed, body), added=added, removed=removed)


def _parse_side(body: Mapping[str, Any] | None) -> ChangeSide:
    if body is None:
        return ChangeSide()
    return replace(_pick(ChangeSide, body), phrases=_parse_phrases(body))


def _parse_phrases(body: Mapping[str, Any]) -> tuple[Phrase, ...]:
    return tuple(_pick(Phrase, phrase) for phrase in body.get("phrases") or ())


def _pick(kind: type[Model], body: Mapping[str, Any]) -> Model:
    known = (item.name for item in fields(kind))
    return kind(**{name: body[name] for name in known if name in body})
