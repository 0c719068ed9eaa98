"""What sounds look like: outlines and spectrograms of stored clips and of files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from jaxtyping import Float32
from starlette.responses import Response

from service.answers import PeaksAnswer, PictureAnswer
from service.core import Core
from service.errors import (
    AudioError,
    ClipAudioMissingError,
    ClipUnknownError,
    OverloadError,
    PartMissingError,
)
from service.forms import Shape, read_form
from service.freshness import has_it, not_modified, revalidated
from service.gallery import Picture, name_of
from service.openapi import AUDIO, describe, error_classes
from service.png import MEDIA_TYPE
from service.responses import answer
from service.routes.dependencies import CoreDep, PhasesDep
from service.schemas import PictureFields, validate
from service.timing import Phases

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


async def post_picture(request: Request, core: CoreDep, phases: PhasesDep) -> Response:
    """Draw an audio file: its outline and its spectrogram. Nothing of it is kept."""
    async with read_form(request, SHAPE, max_files=core.settings.max_files) as form:
        (upload,) = form.required("audio")
        picture = await core.gallery.work(
            core.gallery.of_file, upload.file, form.fields.columns, phases
        )
    spectrogram = base64.b64encode(picture.spectrogram).decode("ascii")
    return answer(core, {**_peaks(picture), "spectrogram": spectrogram})


async def get_peaks(clip_id: str, request: Request, core: CoreDep, phases: PhasesDep) -> Response:
    """Give the outline of a clip: the lowest and the highest sample of every column."""
    return await _of_clip(
        clip_id, request, core, phases, lambda picture: answer(core, _peaks(picture))
    )


async def get_spectrogram(
    clip_id: str, request: Request, core: CoreDep, phases: PhasesDep
) -> Response:
    """Give the spectrogram of a clip as a greyscale PNG, 96 rows high.

    Rows are evenly spaced in octaves from 50 Hz at the bottom to half the sample rate of the
    encoder at the top. Black is -100 dB or less, white 0 dB, relative to a sine of full scale.
    """
    return await _of_clip(
        clip_id,
        request,
        core,
        phases,
        lambda picture: Response(picture.spectrogram, media_type=MEDIA_TYPE),
    )


async def _of_clip(
    clip_id: str,
    request: Request,
    core: Core,
    phases: Phases,
    shape: Callable[[Picture], Response],
) -> Response:
    fields = validate(PictureFields, request.query_params.multi_items())
    record = await core.look_up(core.library.get, clip_id)
    tag = name_of(record, fields.columns)
    headers = revalidated(tag)
    if record.sha256 is not None and has_it(request, tag):
        return not_modified(headers)
    picture = await core.gallery.work(core.gallery.of_clip, record, fields.columns, phases)
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
