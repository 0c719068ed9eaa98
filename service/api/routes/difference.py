"""POST /difference: what a mixture has and a reference has not."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import Form, Shape, read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import MAX_REFERENCES, DifferenceFields
from service.api.response_models import DifferenceAnswer
from service.api.responses import NPY, answer, hit_body, npy, wants_npy
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.routes.sounds import named_sounds
from service.api.vector_encoding import to_json
from service.errors import (
    ClipAudioMissingError,
    ClipIdInvalidError,
    ClipUnknownError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    PartMissingError,
    RequestInvalidError,
    WindowInvalidError,
)
from service.retrieval.inputs import AudioInput, ClipInput, FileInput
from service.retrieval.searcher import DifferenceOptions, RankingOptions
from service.retrieval.timeline import HOP_S

SHAPE = Shape(
    DifferenceFields,
    files=("mixture", "reference"),
    repeatable=("reference",),
    fields_alone=True,
)
ERRORS = (
    *AUDIO,
    ClipAudioMissingError,
    ClipIdInvalidError,
    ClipUnknownError,
    FilterInvalidError,
    FingerprintMismatchError,
    KOutOfRangeError,
    PartMissingError,
    WindowInvalidError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["search"])
    described = describe(DifferenceAnswer, *ERRORS, shape=SHAPE, media_types=(NPY,))
    router.post("/difference", **described)(difference)
    return router


async def difference(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Subtract a reference from a mixture and search for what remains.

    Each of them is a file or, as `mixture_id` and `reference_id`, a clip of the library. Of several
    references the mean is subtracted, and `spread` tells how far they lie apart. Identical sounds
    give the zero vector, `relative_norm` 0, `cosine` 1, no phrases and no hits. `phrases` are words
    for what was added, by nearness; a bundle without towers has none. `changed` tells whether
    something was added, at a rate of false alarms that was measured on pairs of excerpts of the
    same recording; a bundle without this calibration has none. With `curve` each stretch of the
    mixture is compared with the nearest stretch of any reference; stored clips are then decoded.
    Hits are given as by `/search`. As npy the answer is the difference alone, [dim].
    """
    async with read_form(request, SHAPE, max_files=services.settings.max_files) as form:
        fields = form.fields
        mixture = _mixture(form)
        references = _references(form)
        ranking = RankingOptions(
            fields.k, fields.filter, fields.reference_weight, every_window=fields.every_window
        )
        found = await services.run_request(
            services.searcher.difference,
            mixture,
            references,
            ranking,
            timings,
            options=DifferenceOptions(fields.phrases, _hop_s(fields)),
        )
    if wants_npy(request):
        return npy(found.comparison.embedding)
    body = found.comparison.body()
    body["embedding"] = to_json(found.comparison.embedding, fields.encoding)
    return answer(services, body | {"hits": [hit_body(hit) for hit in found.hits]})


def _mixture(form: Form[DifferenceFields]) -> AudioInput:
    sounds = named_sounds(form.file("mixture"), form.fields.mixture_id)
    if not sounds:
        raise PartMissingError("a file 'mixture' or a clip mixture_id is missing")
    if len(sounds) > 1:
        raise RequestInvalidError("give 'mixture' or mixture_id, not both")
    return sounds[0]


def _references(form: Form[DifferenceFields]) -> list[AudioInput]:
    files: list[AudioInput] = [FileInput(upload.file) for upload in form.files["reference"]]
    references = files + [ClipInput(clip_id) for clip_id in form.fields.reference_id]
    if not references:
        raise PartMissingError("a file 'reference' or a clip reference_id is missing")
    if len(references) > MAX_REFERENCES:
        raise RequestInvalidError(
            f"there are {len(references)} references; {MAX_REFERENCES} are allowed"
        )
    return references


def _hop_s(fields: DifferenceFields) -> float | None:
    if fields.curve:
        return fields.hop_s or HOP_S
    if fields.hop_s is not None:
        raise WindowInvalidError("hop_s is given without curve=true")
    return None
