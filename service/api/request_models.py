"""Forms of the endpoints: fields with their types and ranges, and files.

Values are text (forms, query strings) or JSON. Limits that an operator sets, such as the largest k,
are checked where the request is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, InstanceOf, PlainValidator, WithJsonSchema
from starlette.datastructures import UploadFile

from service.api.forms import Form
from service.api.json_schemas import BASE64, CLIP_ID_PATTERN, FILTER, METADATA
from service.api.vector_encoding import Encoding, parse_vector
from service.catalog.filters import Filter, check_metadata, parse_filter
from service.clips import Metadata, check_id
from service.difference import LARGEST
from service.errors import MetadataInvalidError
from service.retrieval.options import (
    DEFAULT_HOP_S,
    DEFAULT_K,
    DEFAULT_PHRASES,
    DEFAULT_STRENGTH,
    MAX_K,
    MAX_PHRASES,
    MAX_REFERENCES,
    MAX_STRENGTH,
    MAX_TEXT_CHARACTERS,
)

DEFAULT_PAGE = 100
DEFAULT_COLUMNS = 480
MAX_COLUMNS = 2048


def _metadata(value: object) -> Metadata:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise MetadataInvalidError(f"metadata is not JSON: {error}") from error
    return check_metadata(value)


def _or_none(parse: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return a validator that leaves null, as of a field that is absent."""
    return lambda value: None if value is None else parse(value)


def _one_or_many(schema: dict[str, Any]) -> None:
    """Let the schema of a list also allow a single item."""
    items = schema.pop("items")
    del schema["type"]
    many = {"type": "array", "items": items, "maxItems": MAX_REFERENCES}
    schema["anyOf"] = [items, many]


ClipId = Annotated[
    str, AfterValidator(check_id), Field(json_schema_extra={"pattern": CLIP_ID_PATTERN})
]
MAX_SECONDS = 86_400.0
_NUMBERS = {
    "type": "array",
    "items": {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
    "minItems": 1,
}
_VECTOR = {"oneOf": [_NUMBERS, BASE64]}
Vector = Annotated[Any, PlainValidator(parse_vector), WithJsonSchema(_VECTOR)]
OptionalVector = Annotated[
    Any,
    PlainValidator(_or_none(parse_vector)),
    WithJsonSchema({"anyOf": [_VECTOR, {"type": "null"}]}),
]
FilterField = Annotated[Filter, PlainValidator(_or_none(parse_filter)), WithJsonSchema(FILTER)]
MetadataField = Annotated[dict[str, Any], PlainValidator(_metadata), WithJsonSchema(METADATA)]
Upload = Annotated[InstanceOf[UploadFile], WithJsonSchema({"type": "string", "format": "binary"})]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
K = Annotated[int, Field(ge=1, le=MAX_K, description="Hits to return; at most MINUEND_MAX_K.")]
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


class EmbedForm(Form):
    """POST /embed."""

    files = ("audio",)
    repeatable = frozenset(files)
    raw = "audio"

    audio: tuple[Upload, ...]
    encoding: Encoding = Field("json", description="Vectors as numbers or as base64 float32.")
    window_s: Seconds | None = Field(None, description="Length of the windows [s].")
    hop_s: Seconds | None = Field(
        None, description="From window to window [s]; window_s if absent."
    )


class DifferenceForm(Form):
    """POST /difference."""

    files = ("mixture", "reference")
    repeatable = frozenset({"reference", "reference_id"})
    fields_alone = True

    mixture: Upload | None = None
    reference: tuple[Upload, ...] = ()
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
    hop_s: Seconds | None = Field(
        None, description=f"From point to point of the curve [s]; {DEFAULT_HOP_S:g} if absent."
    )
    encoding: Encoding = Field("json", description="The vector as numbers or as base64 float32.")


class SearchForm(Form):
    """POST /search."""

    files = ("audio", "reference")
    raw = "audio"
    fields_alone = True

    audio: Upload | None = None
    reference: Upload | None = None
    clip_id: ClipId | None = Field(None, description="A stored clip to search like.")
    embedding: OptionalVector = Field(
        None,
        description="A raw embedding to search like: base64 of float32, or in JSON also a list.",
    )
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


class ClipForm(Form):
    """POST /clips and PUT /clips/{id}."""

    files = ("audio",)
    raw = "audio"

    audio: Upload
    metadata: MetadataField = Field(
        default_factory=dict, description="A flat JSON object about the clip."
    )


class ListQuery(Form):
    """GET /clips."""

    cursor: str | None = Field(None, description="next_cursor of the page before.")
    limit: int = Field(DEFAULT_PAGE, ge=1, le=1000, description="Clips per page.")
    filter: FilterField | None = Field(None, description="Which clips to list.")


class PictureQuery(Form):
    """GET /clips/{id}/peaks and GET /clips/{id}/spectrogram."""

    columns: int = Field(
        DEFAULT_COLUMNS, ge=16, le=MAX_COLUMNS, description="Width of the picture."
    )


class PictureForm(PictureQuery):
    """POST /pictures."""

    files = ("audio",)
    raw = "audio"

    audio: Upload


class MapQuery(Form):
    """GET /map."""

    group: str = Field(
        "kind", min_length=1, max_length=64, description="Name in the metadata to group clips by."
    )


class BulkLine(Form):
    """One line of POST /clips/bulk."""

    id: ClipId
    embedding: Vector
    fingerprint: str = Field(description="Of the encoder that made the embedding.")
    metadata: MetadataField = Field(default_factory=dict)
