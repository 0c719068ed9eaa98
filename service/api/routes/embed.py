"""POST /embed: audio in, raw embeddings out."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.bodies import Upload
from service.api.forms import Shape, read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import EmbedFields
from service.api.response_models import EmbedAnswer
from service.api.responses import NPY, answer, npy, wants_npy
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.vector_encoding import Encoding, to_json
from service.errors import PartMissingError, WindowInvalidError
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing

SHAPE = Shape(EmbedFields, files=("audio",), repeatable=("audio",), raw="audio")


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["embed"])
    errors = (*AUDIO, PartMissingError, WindowInvalidError)
    router.post("/embed", **describe(EmbedAnswer, *errors, shape=SHAPE, media_types=(NPY,)))(embed)
    return router


async def embed(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Embed one or more audio files, in their order.

    With `window_s` each file's windows are embedded as well. As npy the answer is one array,
    [files, dim] or, for a single file with windows, [windows, dim].
    """
    async with read_form(request, SHAPE, max_files=services.settings.max_files) as form:
        uploads = form.required("audio")
        windowing = _windowing(form.fields)
        as_npy = wants_npy(request)
        if as_npy and windowing and len(uploads) > 1:
            raise WindowInvalidError("as npy, windows are given of one file at a time")

        def work() -> Response:
            files = [upload.file for upload in uploads]
            clips = services.embedder.embed(files, timings, windowing=windowing)
            if as_npy:
                return npy(_array(clips))
            bodies = map(_body, uploads, clips, [form.fields.encoding] * len(clips))
            return answer(services, {"embeddings": list(bodies)})

        return await services.run_request(work)


def _windowing(fields: EmbedFields) -> Windowing | None:
    if fields.window_s is None:
        if fields.hop_s is not None:
            raise WindowInvalidError("hop_s is given without window_s")
        return None
    return Windowing(fields.window_s, fields.hop_s or fields.window_s)


def _array(clips: list[Embedded]) -> np.ndarray:
    if clips[0].windows is not None:
        return clips[0].windows.embeddings
    return np.stack([clip.embedding for clip in clips])


def _body(upload: Upload, clip: Embedded, encoding: Encoding) -> dict[str, Any]:
    body: dict[str, Any] = {
        "filename": upload.filename,
        "embedding": to_json(clip.embedding, encoding),
        "duration_s": clip.info.duration_s,
        "sample_rate_hz": clip.info.sample_rate_hz,
        "channels": clip.info.channels,
        "media_type": clip.info.media_type,
    }
    if clip.windows is not None:
        windows = clip.windows
        body["windows"] = [
            {"start_s": start, "end_s": end, "embedding": to_json(embedding, encoding)}
            for start, end, embedding in zip(
                windows.starts_s.tolist(),
                windows.ends_s.tolist(),
                windows.embeddings,
                strict=True,
            )
        ]
    return body
