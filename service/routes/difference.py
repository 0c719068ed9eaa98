"""POST /difference: what a mixture has and a reference has not."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.answers import DifferenceAnswer
from service.errors import (
    ClipIdInvalidError,
    ClipUnknownError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    PartMissingError,
    RequestInvalidError,
)
from service.forms import Form, Shape, read_form
from service.openapi import AUDIO, describe
from service.responses import NPY, answer, hit_body, npy, wants_npy
from service.routes.dependencies import CoreDep, PhasesDep
from service.routes.sounds import named_sounds
from service.schemas import DifferenceFields
from service.search import Ranking
from service.sounds import Sound
from service.vectors import to_json

SHAPE = Shape(DifferenceFields, files=("mixture", "reference"), fields_alone=True)
ERRORS = (
    *AUDIO,
    ClipIdInvalidError,
    ClipUnknownError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    PartMissingError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["search"])
    described = describe(DifferenceAnswer, *ERRORS, shape=SHAPE, media_types=(NPY,))
    router.post("/difference", **described)(difference)
    return router


async def difference(request: Request, core: CoreDep, phases: PhasesDep) -> Response:
    """Subtract a reference from a mixture and search for what remains.

    Each of them is a file or, as `mixture_id` and `reference_id`, a clip of the library. Identical
    sounds give the zero vector, `relative_norm` 0, `cosine` 1, no phrases and no hits. `phrases`
    are words for what was added, by nearness; a bundle without towers has none. Hits are given as
    by `/search`. As npy the answer is the difference alone, [dim].
    """
    async with read_form(request, SHAPE, max_files=core.settings.max_files) as form:
        fields = form.fields
        mixture = _sound(form, "mixture", fields.mixture_id)
        reference = _sound(form, "reference", fields.reference_id)
        ranking = Ranking(
            fields.k, fields.filter, fields.reference_weight, every_window=fields.every_window
        )
        found = await core.work(
            core.searcher.difference,
            mixture,
            reference,
            ranking,
            phases,
            n_phrases=fields.phrases,
        )
    if wants_npy(request):
        return npy(found.embedding)
    return answer(
        core,
        {
            "embedding": to_json(found.embedding, fields.encoding),
            "relative_norm": found.relative_norm,
            "cosine": found.cosine,
            "phrases": [asdict(phrase) for phrase in found.phrases],
            "hits": [hit_body(hit) for hit in found.hits],
        },
    )


def _sound(form: Form[DifferenceFields], name: str, clip_id: str | None) -> Sound:
    sounds = named_sounds(form.file(name), clip_id)
    if not sounds:
        raise PartMissingError(f"a file {name!r} or a clip {name}_id is missing")
    if len(sounds) > 1:
        raise RequestInvalidError(f"give {name!r} or {name}_id, not both")
    return sounds[0]
