"""POST /search: clips like a sound, less a reference, as changed by a text."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import Form, Shape, read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import SearchFields
from service.api.response_models import SearchAnswer
from service.api.responses import answer, hit_body
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.routes.sounds import named_sounds
from service.errors import (
    ClipIdInvalidError,
    ClipUnknownError,
    EmbeddingInvalidError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    ModifierUnavailableError,
    QueryIncompleteError,
    RequestInvalidError,
)
from service.retrieval.inputs import AudioInput
from service.retrieval.query import DEFAULT_STRENGTH, Modifier
from service.retrieval.searcher import RankingOptions
from service.services import Services

SHAPE = Shape(SearchFields, files=("audio", "reference"), raw="audio", fields_alone=True)
ERRORS = (
    *AUDIO,
    ClipIdInvalidError,
    ClipUnknownError,
    EmbeddingInvalidError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    ModifierUnavailableError,
    QueryIncompleteError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["search"])
    router.post("/search", **describe(SearchAnswer, *ERRORS, shape=SHAPE))(search)
    return router


async def search(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Rank the library by nearness to a sound, a text, or a sound as changed by a text.

    The sound is one of a file `audio`, a `clip_id` or a raw `embedding`; a file `reference` or a
    `reference_id` is subtracted from it. With a `modifier`, the text times its `modifier_strength`
    is added; a modifier alone searches by description. Of a sound less its equal nothing remains:
    there are no hits or, with a modifier, those of the text alone. Each hit's `contributions` say
    what `audio` (with a reference, `difference`) and `modifier` gave; they add up to its score.
    Clips that the query names are not among the hits. Clips longer than `MINUEND_WINDOW_S` are
    searched window by window too: each comes once, with `start_s` and `end_s` of its best window,
    or with `every_window` as often as it has windows among the best k.
    """
    async with read_form(request, SHAPE, max_files=services.settings.max_files) as form:
        fields = form.fields
        modifier = _modifier(services, fields)
        positive, reference = _positive(form), _reference(form)
        ranking = RankingOptions(
            fields.k, fields.filter, fields.reference_weight, every_window=fields.every_window
        )
        found = await services.run_request(
            services.searcher.search, positive, reference, ranking, timings, modifier=modifier
        )
    return answer(
        services,
        {
            "hits": [hit_body(hit) for hit in found.hits],
            "notices": [asdict(notice) for notice in found.notices],
        },
    )


def _modifier(services: Services, fields: SearchFields) -> Modifier | None:
    text, strength = fields.modifier, fields.modifier_strength
    if text is None and strength is None:
        return None
    if text is None and services.models.towers is not None:
        raise RequestInvalidError("modifier_strength is given without a modifier")
    return Modifier(text or "", DEFAULT_STRENGTH if strength is None else strength)


def _positive(form: Form[SearchFields]) -> AudioInput | None:
    fields = form.fields
    sounds = named_sounds(form.file("audio"), fields.clip_id, fields.embedding)
    if len(sounds) > 1:
        raise RequestInvalidError("give only one of audio, clip_id and embedding")
    return sounds[0] if sounds else None


def _reference(form: Form[SearchFields]) -> AudioInput | None:
    fields = form.fields
    sounds = named_sounds(form.file("reference"), fields.reference_id)
    if len(sounds) > 1:
        raise RequestInvalidError("give reference or reference_id, not both")
    if not sounds and fields.reference_weight is not None:
        raise RequestInvalidError("reference_weight is given without a reference")
    return sounds[0] if sounds else None
