"""JSON responses of the endpoints: their models in the OpenAPI schema, and how they are made.

The names of the classes are public: they are the component names of the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.inference.understanding import Change

if TYPE_CHECKING:
    from service.clips import ClipRecord
    from service.retrieval.searcher import RankedHit

VectorOut = list[float] | str


class ResponseModel(BaseModel):
    """Base of all responses: they hold no other fields."""

    model_config = ConfigDict(extra="forbid")


class BundleIdentity(ResponseModel):
    """Which bundle answered."""

    id: str
    fingerprint: str


class WindowOut(ResponseModel):
    """A stretch of a clip."""

    start_s: float
    end_s: float
    embedding: VectorOut


class EmbeddingOut(ResponseModel):
    """One file, embedded."""

    filename: str | None
    embedding: VectorOut = Field(description="Raw, not normalised: differences are taken on it.")
    duration_s: float
    sample_rate_hz: int = Field(description="Of the file, before resampling.")
    channels: int
    media_type: str
    windows: list[WindowOut] | None = Field(None, description="Only if window_s was given.")


class EmbedAnswer(ResponseModel):
    """POST /embed; in the order of the files."""

    embeddings: list[EmbeddingOut]
    bundle: BundleIdentity


class HitOut(ResponseModel):
    """A clip of the library that was found."""

    clip_id: str
    score: float = Field(
        description="Inner product of unit vectors, -1..1; higher is nearer. Of a long clip: of its"
        " best window or of the whole, whichever is nearer."
    )
    start_s: float | None = Field(
        description="Where the best window begins; 0 for a clip without windows, null if its"
        " length is not known."
    )
    end_s: float | None = Field(description="Where it ends; the clip's length without windows.")
    contributions: dict[str, float] = Field(
        description="What each term of the query gave: `audio` or `difference`, and `modifier`."
        " They add up to the score."
    )
    metadata: dict[str, Any]
    duration_s: float | None
    media_type: str | None
    audio: str | None = Field(description="Path of its audio; null if there is none.")


class NoticeOut(ResponseModel):
    """Something that should be known about an answer."""

    code: Literal["modifier_cut", "modifier_empty", "modifier_unknown"] = Field(
        description="Stable."
    )
    detail: str


class UnderstoodOut(ResponseModel):
    """A sound that the modifier names."""

    change: Change = Field(
        description="What is asked for: `describe` names a sound and no change, `instead_of` is the"
        " sound that is replaced, `only` is this sound and no other, `none` is no sound at all."
    )
    sound: str = Field(description="The words of the modifier.")
    confidence: float = Field(description="Of the change, 0..1.")


class SearchAnswer(ResponseModel):
    """POST /search; best first."""

    hits: list[HitOut]
    notices: list[NoticeOut] = Field(description="Such as that the modifier was cut.")
    understood: list[UnderstoodOut] = Field(
        description="The sounds of the modifier; empty with a bundle that cannot tell."
    )
    bundle: BundleIdentity


class PhraseOut(ResponseModel):
    """Words for a change."""

    phrase: str = Field(description="For people: `dog barking`.")
    label: str = Field(description="For programs: `dog`.")
    score: float = Field(description="Inner product of unit vectors, -1..1; higher is nearer.")
    reliability: float | None = Field(
        None,
        description="Share of the first hits of a search for the phrase that are right, as measured"
        " in training, 0..1; null if the bundle does not tell.",
    )


class DirectionOut(ResponseModel):
    """Score of one direction of a change."""

    score: float = Field(description="The higher, the more it sounds like such a change.")
    threshold: float = Field(description="Of the bundle, for as many references.")
    false_alarm_rate: float = Field(
        description="Share of unchanged pairs that scored at least as high in this direction, 0..1."
    )


class ChangedOut(ResponseModel):
    """Decision whether something was added or removed."""

    changed: bool = Field(description="Whether `what` is not `nothing`.")
    what: Literal["nothing", "added", "removed", "both"] = Field(
        description="Directions whose score is over their threshold."
    )
    leaning: Literal["added", "removed", "both"] = Field(
        description="What changed if anything did, whether or not a score is over its threshold."
    )
    score: float = Field(
        description="Of the direction that is furthest above its threshold; the higher, the more it"
        " sounds as if something changed."
    )
    threshold: float = Field(
        description="Of this direction, for as many references; excerpts of one recording pass"
        " either threshold at the rate that the model card states."
    )
    false_alarm_rate: float = Field(
        description="Share of the pairs of excerpts of the same recording, with nothing changed,"
        " that were as far above a threshold when the bundle was calibrated, 0..1."
    )
    added: DirectionOut = Field(description="What the mixture has and the references lack.")
    removed: DirectionOut | None = Field(
        description="The reverse; null for a bundle that is calibrated for added sounds alone."
    )


class ChangeSideOut(ResponseModel):
    """A sound that one side has and the other lacks."""

    phrases: list[PhraseOut] = Field(description="Words for it, best first.")
    start_s: float | None = Field(
        description="Where it begins in the sound that has it; null if that is not known."
    )
    end_s: float | None = Field(description="Where it ends.")
    level_db: float | None = Field(
        description="Its level over that of the rest while it lasts; null if that is not known."
    )


class CurvePointOut(ResponseModel):
    """A stretch of the mixture."""

    start_s: float
    end_s: float
    relative_norm: float = Field(
        description="How far it is from the nearest stretch of any reference, 0.."
    )
    phrases: list[PhraseOut] = Field(
        description="Words for what was added there, best first; only where the curve peaks."
    )


class ComparisonOut(ResponseModel):
    """The part of POST /difference that needs no library."""

    description: str = Field(
        description="What changed, in one or two sentences: what was added or is gone, when, how"
        " loud, and how sure."
    )
    embedding: VectorOut = Field(description="f(mixture) less the mean of f(reference).")
    relative_norm: float = Field(description="|d| / sqrt(|f(mixture)| |mean f(reference)|), 0..")
    spread: float | None = Field(
        description="How far several references lie from their mean, on the scale of relative_norm;"
        " null for one."
    )
    cosine: float = Field(description="Of the centred mixture and mean reference, -1..1.")
    level_difference_db: float | None = Field(
        description="RMS level of the mixture over the power mean of the references, both mixed"
        " down and at the encoder's rate [dB]; null if a side is digital silence or a stored clip"
        " that was not decoded."
    )
    changed: ChangedOut | None = Field(
        description="What was added or removed; null for a bundle that is not calibrated."
    )
    curve: list[CurvePointOut] | None = Field(
        description="Over the mixture's time; null unless curve=true."
    )
    phrases: list[PhraseOut] = Field(description="Words for what was added, best first.")
    added: ChangeSideOut = Field(description="What the mixture has and the references lack.")
    removed: ChangeSideOut = Field(description="What the references have and the mixture lacks.")


class DifferenceAnswer(ComparisonOut):
    """POST /difference."""

    hits: list[HitOut] = Field(description="Clips nearest to the difference, best first.")
    bundle: BundleIdentity


class ClipOut(ResponseModel):
    """A clip of the library."""

    clip_id: str
    source: Literal["stored", "referenced", "vector"]
    metadata: dict[str, Any]
    duration_s: float | None
    sample_rate_hz: int | None
    channels: int | None
    media_type: str | None
    size_bytes: int | None
    windows: int = Field(
        description="Windows that it is searched by, beside the whole; 0 if short."
    )
    sha256: str | None
    audio: str | None = Field(description="Path of its audio; null if there is none.")
    created_at: str
    updated_at: str


class ClipAnswer(ResponseModel):
    """POST /clips, PUT /clips/{id} and GET /clips/{id}."""

    clip: ClipOut
    bundle: BundleIdentity


class ListAnswer(ResponseModel):
    """GET /clips."""

    clips: list[ClipOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
    bundle: BundleIdentity


class PeaksAnswer(ResponseModel):
    """GET /clips/{id}/peaks."""

    duration_s: float
    minima: list[float] = Field(description="Lowest sample of each column; full scale is -1..1.")
    maxima: list[float] = Field(description="Highest sample of each column.")
    bundle: BundleIdentity


class PictureAnswer(PeaksAnswer):
    """POST /pictures."""

    spectrogram: str = Field(
        description="A greyscale PNG in base64, as GET /clips/{id}/spectrogram gives it.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    )


class PointOut(ResponseModel):
    """A clip on the map."""

    clip_id: str
    x: float = Field(description="-1..1")
    y: float = Field(description="-1..1")
    title: str | None = Field(description="From its metadata: title or else name.")
    group: str | float | bool | None = Field(description="From its metadata; null if it has none.")
    audio: str | None = Field(description="Path of its audio; null if there is none.")


class MapAnswer(ResponseModel):
    """GET /map: what sounds alike lies close together, as far as a plane can show it."""

    points: list[PointOut]
    clips: int = Field(description="Clips in the library; more than points if it is large.")
    revision: int = Field(description="Of the library.")
    shown: float = Field(description="Share of the vectors' variance that the axes hold, 0..1.")
    bundle: BundleIdentity


class BulkAnswer(ResponseModel):
    """POST /clips/bulk: all lines are in the library."""

    created: int
    updated: int
    bundle: BundleIdentity


class StatusAnswer(ResponseModel):
    """GET /healthz and GET /readyz."""

    status: Literal["live", "ready"]
    bundle: BundleIdentity


class InfoAnswer(ResponseModel):
    """GET /info: what runs here, where it comes from and what it allows."""

    service: dict[str, str]
    bundle: BundleIdentity
    encoder: dict[str, Any]
    training: dict[str, Any]
    scores: dict[str, Any]
    licence: str
    library: dict[str, Any]
    modifier: bool = Field(description="Whether this bundle takes text modifiers.")
    towers: dict[str, Any] | None = Field(description="What takes them; null without.")
    limits: dict[str, float]


def make_body(model: type[BaseModel], source: object = None, **given: Any) -> dict[str, Any]:
    """Return the fields of a response: those in `given`, the others from `source`."""
    return {
        name: given[name] if name in given else getattr(source, name) for name in model.model_fields
    }


def hit_body(ranked: RankedHit) -> dict[str, Any]:
    """Return the fields of a hit."""
    hit, record = ranked.hit, ranked.hit.record
    return make_body(
        HitOut,
        record,
        clip_id=record.id,
        score=hit.score,
        start_s=hit.start_s,
        end_s=hit.end_s,
        contributions=ranked.contributions,
        audio=audio_path(record),
    )


def clip_body(record: ClipRecord) -> dict[str, Any]:
    """Return the fields of a clip, without the path of its file."""
    return make_body(ClipOut, record, clip_id=record.id, audio=audio_path(record))


def audio_path(record: ClipRecord) -> str | None:
    """Return the path of a clip's audio in the API; None if it has none."""
    return None if record.source == "vector" else f"/clips/{record.id}/audio"
