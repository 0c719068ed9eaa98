"""JSON schemas of values that clients give: clip ids, embeddings, metadata and filters.

They describe the form of what is accepted. What a schema cannot say, such as the size of all
metadata together, is refused with an error code of its own.
"""

from __future__ import annotations

from typing import Any

from service.catalog.filters import MAX_ANY_OF, MAX_FILTER_NAMES

CLIP_ID_PATTERN = (
    "^([A-Za-z0-9_-]|[A-Za-z0-9_-][A-Za-z0-9._-]|[.][A-Za-z0-9_-]|[A-Za-z0-9._-]{3,128})$"
)
"""As `service.clips.check_id`, without the lookahead that not every reader of schemas knows."""

BASE64: dict[str, Any] = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^([A-Za-z0-9+/]{16})*([A-Za-z0-9+/]{6}==|[A-Za-z0-9+/]{11}=)?$",
    "minLength": 8,
}
_NAMES = {"pattern": "^[A-Za-z0-9_.-]{1,64}$"}
_TEXT = {"type": "string", "pattern": "^[^\\u0000]*$"}
_LARGEST = 1.7976931348623157e308
_NUMBER = {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST}
_TEXT_OR_NUMBER: list[dict[str, Any]] = [_TEXT, _NUMBER]
_VALUES = [*_TEXT_OR_NUMBER, {"type": "boolean"}]
_VALUES_AND_NULL = [*_VALUES, {"type": "null"}]
_BOUND = {"anyOf": _TEXT_OR_NUMBER}

METADATA: dict[str, Any] = {
    "type": "object",
    "propertyNames": _NAMES,
    "additionalProperties": {
        "anyOf": [*_VALUES_AND_NULL, {"type": "array", "items": {"anyOf": _VALUES_AND_NULL}}]
    },
}
FILTER: dict[str, Any] = {
    "type": "object",
    "title": "Filter",
    "propertyNames": _NAMES,
    "maxProperties": MAX_FILTER_NAMES,
    "additionalProperties": {
        "anyOf": [
            *_VALUES_AND_NULL,
            {"type": "array", "items": {"anyOf": _VALUES}, "minItems": 1, "maxItems": MAX_ANY_OF},
            {
                "type": "object",
                "properties": dict.fromkeys(("gt", "gte", "lt", "lte"), _BOUND),
                "additionalProperties": False,
                "minProperties": 1,
            },
        ]
    },
}
