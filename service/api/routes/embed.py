"""POST /embed: raw embeddings of audio files."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import read_form
from service.api.openapi import AUDIO, describe
from service.api.request_models import EmbedForm
from service.api.response_models import EmbedAnswer, EmbeddingOut, make_body
from service.api.responses import NPY, npy, respond, wants_npy
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.api.vector_encoding import Encoding, to_json
from service.errors import PartMissingError, WindowInvalidError
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["embed"])
    errors = (*AUDIO, PartMissingError, WindowInvalidError)
    router.post("/embed", **describe(EmbedAnswer, *errors, form=EmbedForm, media_types=(NPY,)))(
        embed
    )
    return router


async def embed(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Embed one or more audio files, in their order.

    With `window_s` each file's windows are embedded as well. As npy the answer is one array,
    [files, dim] or, for a single file with windows, [windows, dim].
    """
    async with read_form(request, EmbedForm, services.settings.max_files) as form:
        windowing = _windowing(form)
        as_npy = wants_npy(request)
        if as_npy and windowing and len(form.audio) > 1:
            raise WindowInvalidError("windows can be returned as npy for a single file only")

        def work() -> Response:
            files = [upload.file for upload in form.audio]
            clips = services.embedder.embed(files, timings, windowing=windowing)
            if as_npy:
                return npy(_array(clips))
            pairs = zip(form.audio, clips, strict=True)
            embeddings = [_body(upload.filename, clip, form.encoding) for upload, clip in pairs]
            return respond(services, EmbedAnswer, embeddings=embeddings)

        return await services.threads.requests.run(work)


def _windowing(form: EmbedForm) -> Windowing | None:
    if form.window_s is None:
        if form.hop_s is not None:
            raise WindowInvalidError("hop_s is given without window_s")
        return None
    return Windowing(form.window_s, form.hop_s or form.window_s)


def _array(clips: list[Embedded]) -> np.ndarray:
    if clips[0].windows is not None:
        return clips[0].windows.embeddings
    return np.stack([clip.embedding for clip in clips])


def _body(filename: str | None, clip: Embedded, encoding: Encoding) -> dict[str, Any]:
    embedding, windows = to_json(clip.embedding, encoding), clip.windows
    body = make_body(EmbeddingOut, clip.info, filename=filename, embedding=embedding, windows=None)
    if windows is None:
        del body["windows"]
        return body
    starts_s, ends_s = windows.starts_s.tolist(), windows.ends_s.tolist()
    body["windows"] = [
        {"start_s": start_s, "end_s": end_s, "embedding": to_json(vector, encoding)}
        for start_s, end_s, vector in zip(starts_s, ends_s, windows.embeddings, strict=True)
    ]
    return body
