"""POST /search: clips like a sound, less a reference if there is one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.answers import SearchAnswer
from service.errors import (
    ClipIdInvalidError,
    ClipUnknownError,
    EmbeddingInvalidError,
    FilterInvalidError,
    KOutOfRangeError,
    ModifierUnavailableError,
    QueryIncompleteError,
    RequestInvalidError,
)
from service.forms import Form, Shape, read_form
from service.openapi import AUDIO, describe
from service.responses import answer, hit_body
from service.routes.dependencies import CoreDep, PhasesDep
from service.routes.sounds import named_sounds
from service.schemas import SearchFields
from service.search import Ranking
from service.sounds import Sound

SHAPE = Shape(SearchFields, files=("audio", "reference"), raw="audio", fields_alone=True)
ERRORS = (
    *AUDIO,
    ClipIdInvalidError,
    ClipUnknownError,
    EmbeddingInvalidError,
    FilterInvalidError,
    KOutOfRangeError,
    ModifierUnavailableError,
    QueryIncompleteError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["search"])
    router.post("/search", **describe(SearchAnswer, *ERRORS, shape=SHAPE))(search)
    return router


async def search(request: Request, core: CoreDep, phases: PhasesDep) -> Response:
    """Rank the library by nearness to a sound.

    The sound is one of a file `audio`, a `clip_id` or a raw `embedding`; a file `reference` or a
    `reference_id` is subtracted from it. Clips that the query names are not among the hits.
    """
    async with read_form(request, SHAPE, max_files=core.settings.max_files) as form:
        fields = form.fields
        _refuse_modifier(fields)
        positive, reference = _positive(form), _reference(form)
        ranking = Ranking(fields.k, fields.filter, fields.reference_weight)
        hits = await core.work(core.searcher.search, positive, reference, ranking, phases)
    return answer(core, {"hits": [hit_body(hit) for hit in hits]})


def _refuse_modifier(fields: SearchFields) -> None:
    if fields.modifier is not None or fields.modifier_strength is not None:
        raise ModifierUnavailableError(
            "this bundle has no text tower, so it cannot take a modifier; leave it out"
        )


def _positive(form: Form[SearchFields]) -> Sound:
    fields = form.fields
    sounds = named_sounds(form.file("audio"), fields.clip_id, fields.embedding)
    if not sounds:
        raise QueryIncompleteError("a search needs one of audio, clip_id and embedding")
    if len(sounds) > 1:
        raise RequestInvalidError("give only one of audio, clip_id and embedding")
    return sounds[0]


def _reference(form: Form[SearchFields]) -> Sound | None:
    fields = form.fields
    sounds = named_sounds(form.file("reference"), fields.reference_id)
    if len(sounds) > 1:
        raise RequestInvalidError("give reference or reference_id, not both")
    if not sounds and fields.reference_weight is not None:
        raise RequestInvalidError("reference_weight is given without a reference")
    return sounds[0] if sounds else None
