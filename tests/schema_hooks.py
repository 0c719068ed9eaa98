"""What Schemathesis cannot know from the schema: what audio is, and that a field is given once."""

from __future__ import annotations

import hashlib
import json
import re

import jsonschema_rs
import orjson
import schemathesis
import synth
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from service.api.json_schemas import METADATA
from service.api.openapi import error_classes
from service.audio.errors import (
    AudioError,
)

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
DIM = 8
"""Length of an embedding of the tiny bundle."""

_FINGERPRINT = hashlib.sha256(b"tiny 0 8").hexdigest()
"""Encoder of the tiny bundle."""
_SOUNDS = [
    synth.encode(synth.tone(440, 0.03)),
    synth.encode(synth.tone(900, 0.05)),
    synth.encode(synth.noise(0, 0.03), form="FLAC"),
]
_LINE = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(categories=["L"], max_codepoint=127), min_size=1, max_size=3),
        "embedding": st.lists(st.floats(-9, 9, width=16), min_size=DIM, max_size=DIM),
        "fingerprint": st.sampled_from([_FINGERPRINT, "0" * 64]),
    },
    optional={"metadata": st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9), max_size=2)},
)
_BEYOND_SCHEMA = {cls.code for cls in error_classes(AudioError)} | {
    "cursor_invalid",  # made by a listing
    "embedding_invalid",  # as long as the encoder makes them
    "filter_invalid",  # bounds of one type, whole numbers of 64 bits
    "head_too_large",  # by a field in the query
    "k_out_of_range",  # a setting
    "metadata_invalid",  # whole numbers of 64 bits
    "modifier_unavailable",  # depends on the bundle
    "part_missing",  # a file or an id
    "query_incomplete",  # one of several fields
    "window_invalid",  # depends on the encoder and the length of the sound
}
"""Codes of the refusals of requests that follow the schema."""
_BETWEEN_FIELDS = re.compile(
    "given more than once|not both|only one of|given without|references are allowed"
    "|nothing was stored|has no lines"
)
"""Refusals of fields that do not go together, and of lines, all with the code `request_invalid`."""
_BEYOND_DOUBLE = re.compile("violates `(maximum|minimum)`.* at .*/additionalProperties/anyOf/")
"""A value beyond the largest double, which is read as the largest double."""
_IN_FIELD = re.compile(r"violates `type` at /properties/(\w+) ")
"""A field of another type than was meant."""
_IN_METADATA = re.compile("violates .* at /properties/metadata/additionalProperties/anyOf/")
"""A value of another type than was meant, which is often one of the other allowed types."""


def _has_valid_metadata(case: Case) -> bool:
    metadata = case.body.get("metadata") if isinstance(case.body, dict) else None
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    return jsonschema_rs.is_valid(METADATA, metadata)


def _is_not_sent(failure: Exception, case: Case) -> bool:
    """Tell whether the wrong value is an empty list, which a multipart body does not have."""
    found = _IN_FIELD.search(str(failure))
    if found is None or case.media_type != "multipart/form-data":
        return False
    return isinstance(case.body, dict) and case.body.get(found[1]) == []


def _lines(body: object) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in body) if isinstance(body, list) else b""


def _as_json(value: object) -> object:
    """Return the JSON of an object, which the schema has as the encoding of such fields."""
    return json.dumps(value) if isinstance(value, dict) else value


audio = st.sampled_from(_SOUNDS) | st.binary(min_size=1)
schemathesis.openapi.format("binary", audio)
for kind in ("audio/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, audio)
schemathesis.openapi.media_type(
    NDJSON[0],
    st.lists(_LINE, min_size=1, max_size=3).map(_lines) | st.binary().filter(bytes.strip),
    aliases=NDJSON[1:],
)


@schemathesis.hook
def map_case(context: HookContext, case: Case) -> Case:
    """Give a field once, in the body, and objects as JSON; give no invented cursor."""
    if case.query and case.meta is not None and case.meta.generation.mode.is_positive:
        given = set(case.body) if isinstance(case.body, dict) else set()
        case.query = {k: v for k, v in case.query.items() if k not in given | {"cursor"}}
    if isinstance(case.body, dict) and case.media_type == "application/x-www-form-urlencoded":
        case.body = {name: _as_json(value) for name, value in case.body.items()}
    return case


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Exception, case: Case, response: Response
) -> bool:
    """Keep a failure unless it is a refusal for what no schema can say, or no failure."""
    if isinstance(failure, AcceptedNegativeData):
        if _BEYOND_DOUBLE.search(str(failure)) or _is_not_sent(failure, case):
            return False
        return not _IN_METADATA.search(str(failure)) or not _has_valid_metadata(case)
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    return problem["code"] not in _BEYOND_SCHEMA and not _BETWEEN_FIELDS.search(problem["detail"])
