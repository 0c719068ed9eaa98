"""Outlines and spectrograms of stored clips and of files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from jaxtyping import Float32
from starlette.responses import Response

from service.api.etag import etag_headers, matches_etag, not_modified
from service.api.forms import read_form, validate
from service.api.openapi import AUDIO, READ, describe, error_classes
from service.api.request_models import PictureForm, PictureQuery
from service.api.response_models import PeaksAnswer, PictureAnswer
from service.api.responses import respond
from service.api.routes.dependencies import ClipIdPath, ServicesDep, TimingsDep
from service.audio.errors import AudioError
from service.concurrency.timings import RequestTimings
from service.errors import (
    ClipAudioMissingError,
    ClipDamagedError,
    ClipUnknownError,
    PartMissingError,
)
from service.pictures.gallery import Picture, name_of
from service.pictures.png import MEDIA_TYPE
from service.services import Services

CLIP_ERRORS = (
    *error_classes(AudioError),
    ClipUnknownError,
    ClipAudioMissingError,
    ClipDamagedError,
    *READ,
)
DECIMALS = 4


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["pictures"])
    drawn = describe(PictureAnswer, *AUDIO, PartMissingError, form=PictureForm)
    router.post("/pictures", **drawn)(post_picture)
    peaks = describe(PeaksAnswer, *CLIP_ERRORS, form=PictureQuery)
    spectrogram = describe(None, *CLIP_ERRORS, form=PictureQuery, media_types=(MEDIA_TYPE,))
    for described in (peaks, spectrogram):
        described["responses"] |= {304: {"description": "Not modified"}}
    router.get("/clips/{clip_id}/peaks", **peaks)(get_peaks)
    router.get("/clips/{clip_id}/spectrogram", **spectrogram)(get_spectrogram)
    return router


async def post_picture(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Draw an audio file: its outline and its spectrogram. Nothing of it is kept."""
    async with read_form(request, PictureForm, services.settings.max_files) as form:
        picture = await services.threads.pictures.run(
            services.gallery.of_file, form.audio.file, form.columns, timings
        )
    spectrogram = base64.b64encode(picture.spectrogram).decode("ascii")
    return respond(services, PictureAnswer, **_peaks(picture), spectrogram=spectrogram)


async def get_peaks(
    clip_id: ClipIdPath, request: Request, services: ServicesDep, timings: TimingsDep
) -> Response:
    """Give the outline of a clip: the lowest and the highest sample of every column."""
    return await _of_clip(
        clip_id,
        request,
        services,
        timings,
        lambda picture: respond(services, PeaksAnswer, **_peaks(picture)),
    )


async def get_spectrogram(
    clip_id: ClipIdPath, request: Request, services: ServicesDep, timings: TimingsDep
) -> Response:
    """Give the spectrogram of a clip as a greyscale PNG, 96 rows high.

    Rows are evenly spaced in octaves from 50 Hz at the bottom to half the sample rate of the
    encoder at the top. Black is -100 dB or less, white 0 dB, relative to a sine of full scale.
    """
    return await _of_clip(
        clip_id,
        request,
        services,
        timings,
        lambda picture: Response(picture.spectrogram, media_type=MEDIA_TYPE),
    )


async def _of_clip(
    clip_id: str,
    request: Request,
    services: Services,
    timings: RequestTimings,
    make_response: Callable[[Picture], Response],
) -> Response:
    fields = validate(PictureQuery, request.query_params.multi_items())
    record = await services.threads.lookups.run(services.library.catalog.get, clip_id)
    tag = name_of(record, fields.columns)
    if record.sha256 is not None and matches_etag(request, tag):
        return not_modified(etag_headers(tag))
    tag, picture = await services.threads.pictures.run(
        services.gallery.of_clip, record, fields.columns, timings
    )
    response = make_response(picture)
    response.headers.update(etag_headers(tag))
    return response


def _peaks(picture: Picture) -> dict[str, Any]:
    return {
        "duration_s": picture.duration_s,
        "minima": _rounded(picture.minima),
        "maxima": _rounded(picture.maxima),
    }


def _rounded(values: Float32[np.ndarray, " columns"]) -> list[float]:
    return [round(value, DECIMALS) for value in values.tolist()]
