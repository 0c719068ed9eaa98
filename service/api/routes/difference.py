"""POST /difference: subtract references from a mixture."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import DifferenceForm
from service.api.response_models import DifferenceAnswer, hit_body
from service.api.responses import NPY, npy, respond, wants_npy
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.routes.inputs import named_inputs, ranking_options
from service.api.vector_encoding import to_json
from service.errors import (
    ClipAudioMissingError,
    ClipDamagedError,
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
from service.retrieval.options import DEFAULT_HOP_S, MAX_REFERENCES, DifferenceOptions

ERRORS = (
    *AUDIO,
    ClipAudioMissingError,
    ClipIdInvalidError,
    ClipDamagedError,
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
    described = describe(DifferenceAnswer, *ERRORS, form=DifferenceForm, media_types=(NPY,))
    router.post("/difference", **described)(difference)
    return router


async def difference(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Subtract a reference from a mixture and search for what remains.

    Each of them is a file or, as `mixture_id` and `reference_id`, a clip of the library. Of several
    references the mean is subtracted, and `spread` tells how far they lie apart. Identical sounds
    give the zero vector, `relative_norm` 0, `cosine` 1, no phrases and no hits. `phrases` are words
    for what was added, by nearness; a bundle without towers has none. `changed` tells whether
    something was added or removed, at a rate of false alarms that was measured on pairs of excerpts
    of the same recording; a bundle without this calibration has none. `added` and `removed` hold
    words, time and level of each side, and `description` says it in one or two sentences. With
    `curve` each stretch of the mixture is compared with the nearest stretch of any reference. The
    time is known for files and, with `curve`, for stored clips, which are then decoded.
    Hits are given as by `/search`. As npy the answer is the difference alone, [dim].
    """
    async with read_form(request, DifferenceForm, services.settings.max_files) as form:
        found = await services.threads.requests.run(
            services.searcher.difference,
            _mixture(form),
            _references(form),
            ranking_options(form),
            timings,
            options=DifferenceOptions(form.phrases, _hop_s(form)),
        )
    comparison = found.comparison
    if wants_npy(request):
        return npy(comparison.embedding)
    return respond(
        services,
        DifferenceAnswer,
        comparison,
        embedding=to_json(comparison.embedding, form.encoding),
        hits=[hit_body(hit) for hit in found.hits],
    )


def _mixture(form: DifferenceForm) -> AudioInput:
    inputs = named_inputs(form.mixture, form.mixture_id)
    if not inputs:
        raise PartMissingError("a file 'mixture' or a clip mixture_id is missing")
    if len(inputs) > 1:
        raise RequestInvalidError("give 'mixture' or mixture_id, not both")
    return inputs[0]


def _references(form: DifferenceForm) -> list[AudioInput]:
    files: list[AudioInput] = [FileInput(upload.file) for upload in form.reference]
    references = files + [ClipInput(clip_id) for clip_id in form.reference_id]
    if not references:
        raise PartMissingError("a file 'reference' or a clip reference_id is missing")
    if len(references) > MAX_REFERENCES:
        raise RequestInvalidError(
            f"there are {len(references)} references; {MAX_REFERENCES} are allowed"
        )
    return references


def _hop_s(form: DifferenceForm) -> float | None:
    if form.curve:
        return form.hop_s or DEFAULT_HOP_S
    if form.hop_s is not None:
        raise WindowInvalidError("hop_s is given without curve=true")
    return None
