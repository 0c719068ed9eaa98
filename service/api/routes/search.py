"""POST /search: search by a sound, minus a reference, plus a text."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import SearchForm
from service.api.response_models import SearchAnswer, hit_body
from service.api.responses import respond
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.routes.inputs import named_inputs, ranking_options
from service.errors import (
    ClipDamagedError,
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
from service.retrieval.options import DEFAULT_STRENGTH
from service.retrieval.query import Modifier
from service.services import Services

ERRORS = (
    *AUDIO,
    ClipIdInvalidError,
    ClipDamagedError,
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
    router.post("/search", **describe(SearchAnswer, *ERRORS, form=SearchForm))(search)
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
    async with read_form(request, SearchForm, services.settings.max_files) as form:
        modifier = _modifier(services, form)
        found = await services.threads.requests.run(
            services.searcher.search,
            _sound(form),
            _reference(form),
            ranking_options(form),
            timings,
            modifier=modifier,
        )
    hits = [hit_body(hit) for hit in found.hits]
    return respond(services, SearchAnswer, found, hits=hits)


def _modifier(services: Services, form: SearchForm) -> Modifier | None:
    text, strength = form.modifier, form.modifier_strength
    if text is None and strength is None:
        return None
    if text is None and services.models.towers is not None:
        raise RequestInvalidError("modifier_strength is given without a modifier")
    return Modifier(text or "", DEFAULT_STRENGTH if strength is None else strength)


def _sound(form: SearchForm) -> AudioInput | None:
    inputs = named_inputs(form.audio, form.clip_id, form.embedding)
    if len(inputs) > 1:
        raise RequestInvalidError("give only one of audio, clip_id and embedding")
    return inputs[0] if inputs else None


def _reference(form: SearchForm) -> AudioInput | None:
    inputs = named_inputs(form.reference, form.reference_id)
    if len(inputs) > 1:
        raise RequestInvalidError("give reference or reference_id, not both")
    if not inputs and form.reference_weight is not None:
        raise RequestInvalidError("reference_weight is given without a reference")
    return inputs[0] if inputs else None
