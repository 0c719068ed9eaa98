"""The fields that each endpoint takes, with their types and ranges.

Values come as text (forms, query strings) or as JSON; both are understood. Limits that an operator
sets, such as the largest k, are checked where the request is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from service.api.vector_encoding import Encoding, parse_vector
from service.catalog.filters import Filter, check_metadata, parse_filter
from service.clips import Metadata, check_id
from service.errors import (
    ClipIdInvalidError,
    KOutOfRangeError,
    MetadataInvalidError,
    RequestInvalidError,
    WindowInvalidError,
)
from service.inference.phrases import DEFAULT_PHRASES, MAX_PHRASES
from service.retrieval.query import DEFAULT_STRENGTH, MAX_STRENGTH, MAX_TEXT_CHARACTERS
from service.retrieval.timeline import HOP_S

DEFAULT_K = 10
MAX_REFERENCES = 32
DEFAULT_PAGE = 100
DEFAULT_COLUMNS = 480
MAX_COLUMNS = 2048

FIELD_ERRORS: dict[str, type[RequestInvalidError]] = {
    "k": KOutOfRangeError,
    "window_s": WindowInvalidError,
    "hop_s": WindowInvalidError,
    "clip_id": ClipIdInvalidError,
    "mixture_id": ClipIdInvalidError,
    "reference_id": ClipIdInvalidError,
    "id": ClipIdInvalidError,
}
"""Fields whose faults have a code of their own; all others are `request_invalid`."""

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Sequence[tuple[str, Any]]) -> Model:
    """Check named values by a model.

    Raises:
        RequestInvalidError: A name is unknown or repeated, or a value is not allowed; the class is
            that of the first such name in `FIELD_ERRORS`.
    """
    named = _gather(model, values)
    if unknown := sorted(set(named) - set(model.model_fields)):
        known = ", ".join(model.model_fields) or "none"
        raise RequestInvalidError(f"unknown field {unknown[0][:64]!r}; known are {known}")
    try:
        return model.model_validate(named)
    except ValidationError as error:
        faults = [(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
        detail = "; ".join(f"{name}: {message}" for name, message in faults)
        raise FIELD_ERRORS.get(faults[0][0], RequestInvalidError)(detail) from error


def _gather(model: type[BaseModel], values: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Give each name its value; those that may be given several times get a list of all."""
    repeatable: frozenset[str] = getattr(model, "repeatable", frozenset())
    named: dict[str, Any] = {}
    for name, value in values:
        if name in repeatable:
            named.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        elif name in named:
            raise RequestInvalidError(f"the field {name[:64]!r} is given more than once")
        else:
            named[name] = value
    return named


def _metadata(value: object) -> Metadata:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise MetadataInvalidError(f"metadata is not JSON: {error}") from error
    return check_metadata(value)


def _filter(value: Any) -> Filter:
    return parse_filter(value)


def _one_or_many(schema: dict[str, Any]) -> None:
    """Let the schema of a list allow one of its items alone."""
    items = schema.pop("items")
    del schema["type"]
    many = {"type": "array", "items": items, "maxItems": MAX_REFERENCES}
    schema["anyOf"] = [items, many]


ClipId = Annotated[
    str, AfterValidator(check_id), Field(json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,128}$"})
]
Vector = Annotated[
    Any,
    PlainValidator(parse_vector),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 1},
                {"type": "string", "contentEncoding": "base64"},
            ]
        }
    ),
]
FilterField = Annotated[
    Filter, PlainValidator(_filter), WithJsonSchema({"type": "object", "title": "Filter"})
]
MetadataField = Annotated[
    dict[str, Any], PlainValidator(_metadata), WithJsonSchema({"type": "object"})
]
K = Annotated[int, Field(ge=1, description="Hits to return; at most MINUEND_MAX_K.")]
EveryWindow = Annotated[
    bool,
    Field(description="Let every window of a long clip be a hit of its own, not its best alone."),
]
Weight = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="How much of the reference is subtracted; the bundle's own weight if absent.",
    ),
]


class Fields(BaseModel):
    """The base of all: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeatable: ClassVar[frozenset[str]] = frozenset()
    """Names that may be given several times, or once with a list."""


class NoFields(Fields):
    """An endpoint that takes none."""


class EmbedFields(Fields):
    """POST /embed."""

    encoding: Encoding = Field("json", description="Vectors as numbers or as base64 float32.")
    window_s: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Length of the windows [s]."
    )
    hop_s: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="From window to window [s]; window_s if absent.",
    )


class DifferenceFields(Fields):
    """POST /difference."""

    repeatable = frozenset({"reference_id"})

    mixture_id: ClipId | None = Field(None, description="A stored clip as the mixture.")
    reference_id: tuple[ClipId, ...] = Field(
        (),
        description="Stored clips as references; given several times, or as a list in JSON.",
        json_schema_extra=_one_or_many,
    )
    k: K = DEFAULT_K
    filter: FilterField | None = Field(None, description="Which clips may be hits.")
    every_window: EveryWindow = False
    reference_weight: Weight | None = None
    phrases: int = Field(
        DEFAULT_PHRASES, ge=0, le=MAX_PHRASES, description="Words for the change to return."
    )
    curve: bool = Field(
        False, description="Also tell how far the mixture is from the references over time."
    )
    hop_s: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description=f"From point to point of the curve [s]; {HOP_S:g} if absent.",
    )
    encoding: Encoding = Field("json", description="The vector as numbers or as base64 float32.")


class SearchFields(Fields):
    """POST /search."""

    clip_id: ClipId | None = Field(None, description="A stored clip to search like.")
    embedding: Vector | None = Field(None, description="A raw embedding to search like.")
    reference_id: ClipId | None = Field(None, description="A stored clip to subtract.")
    reference_weight: Weight | None = None
    modifier: str | None = Field(
        None,
        max_length=MAX_TEXT_CHARACTERS,
        description="Text that says what to find or, beside a sound, how it differs from that.",
    )
    modifier_strength: float | None = Field(
        None,
        ge=0,
        le=MAX_STRENGTH,
        allow_inf_nan=False,
        description=f"Weight of the modifier; {DEFAULT_STRENGTH:g} if absent, 0 for none.",
    )
    k: K = DEFAULT_K
    filter: FilterField | None = Field(None, description="Which clips may be hits.")
    every_window: EveryWindow = False


class ClipFields(Fields):
    """POST /clips and PUT /clips/{id}."""

    metadata: MetadataField = Field(
        default_factory=dict, description="A flat JSON object about the clip."
    )


class ListFields(Fields):
    """GET /clips."""

    cursor: str | None = Field(None, description="next_cursor of the page before.")
    limit: int = Field(DEFAULT_PAGE, ge=1, le=1000, description="Clips per page.")
    filter: FilterField | None = Field(None, description="Which clips to list.")


class PictureFields(Fields):
    """POST /pictures, GET /clips/{id}/peaks and GET /clips/{id}/spectrogram."""

    columns: int = Field(
        DEFAULT_COLUMNS, ge=16, le=MAX_COLUMNS, description="Width of the picture."
    )


class MapFields(Fields):
    """GET /map."""

    group: str = Field(
        "kind", min_length=1, max_length=64, description="Name in the metadata to group clips by."
    )


class BulkLine(Fields):
    """One line of POST /clips/bulk."""

    id: ClipId
    embedding: Vector
    fingerprint: str = Field(description="Of the encoder that made the embedding.")
    metadata: MetadataField = Field(default_factory=dict)
