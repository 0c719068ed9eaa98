"""What sounds look like: outlines and spectrograms of stored clips and of files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from jaxtyping import Float32
from starlette.responses import Response

from service.api.etag import etag_headers, matches_etag, not_modified
from service.api.forms import Shape, read_form
from service.api.openapi import AUDIO, describe, error_classes
from service.api.request_models import PictureFields, validate
from service.api.response_models import PeaksAnswer, PictureAnswer
from service.api.responses import answer
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.concurrency.timings import RequestTimings
from service.errors import (
    AudioError,
    ClipAudioMissingError,
    ClipUnknownError,
    OverloadError,
    PartMissingError,
)
from service.pictures.gallery import Picture, name_of
from service.pictures.png import MEDIA_TYPE
from service.services import Services

SHAPE = Shape(PictureFields, files=("audio",), raw="audio")
STORED_SHAPE = Shape(PictureFields)
STORED_ERRORS = (
    *error_classes(AudioError),
    ClipUnknownError,
    ClipAudioMissingError,
    OverloadError,
)
DECIMALS = 4


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["pictures"])
    drawn = describe(PictureAnswer, *AUDIO, PartMissingError, shape=SHAPE)
    router.post("/pictures", **drawn)(post_picture)
    peaks = describe(PeaksAnswer, *STORED_ERRORS, shape=STORED_SHAPE)
    spectrogram = describe(None, *STORED_ERRORS, shape=STORED_SHAPE, media_types=(MEDIA_TYPE,))
    for described in (peaks, spectrogram):
        described["responses"] |= {304: {"description": "Not modified"}}
    router.get("/clips/{clip_id}/peaks", **peaks)(get_peaks)
    router.get("/clips/{clip_id}/spectrogram", **spectrogram)(get_spectrogram)
    return router


async def post_picture(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Draw an audio file: its outline and its spectrogram. Nothing of it is kept."""
    async with read_form(request, SHAPE, max_files=services.settings.max_files) as form:
        (upload,) = form.required("audio")
        picture = await services.gallery.work(
            services.gallery.of_file, upload.file, form.fields.columns, timings
        )
    spectrogram = base64.b64encode(picture.spectrogram).decode("ascii")
    return answer(services, {**_peaks(picture), "spectrogram": spectrogram})


async def get_peaks(
    clip_id: str, request: Request, services: ServicesDep, timings: TimingsDep
) -> Response:
    """Give the outline of a clip: the lowest and the highest sample of every column."""
    return await _of_clip(
        clip_id, request, services, timings, lambda picture: answer(services, _peaks(picture))
    )


async def get_spectrogram(
    clip_id: str, request: Request, services: ServicesDep, timings: TimingsDep
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
    shape: Callable[[Picture], Response],
) -> Response:
    fields = validate(PictureFields, request.query_params.multi_items())
    record = await services.run_lookup(services.library.get, clip_id)
    tag = name_of(record, fields.columns)
    headers = etag_headers(tag)
    if record.sha256 is not None and matches_etag(request, tag):
        return not_modified(headers)
    picture = await services.gallery.work(services.gallery.of_clip, record, fields.columns, timings)
    response = shape(picture)
    response.headers.update(headers)
    return response


def _peaks(picture: Picture) -> dict[str, Any]:
    return {
        "duration_s": picture.duration_s,
        "minima": _rounded(picture.minima),
        "maxima": _rounded(picture.maxima),
    }


def _rounded(values: Float32[np.ndarray, " columns"]) -> list[float]:
    return [round(value, DECIMALS) for value in values.tolist()]
