"""POST /clips/bulk: store precomputed embeddings, sent as lines of JSON."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.bulk_reader import BulkReader
from service.api.forms import buffer_body, media_type
from service.api.openapi import BODY, describe, ndjson_body
from service.api.request_models import BulkLine
from service.api.response_models import BulkAnswer
from service.api.responses import respond
from service.api.routes.dependencies import ServicesDep, TimingsDep
from service.audio.errors import MediaUnsupportedError
from service.concurrency.timings import RequestTimings
from service.errors import (
    ClipIdInvalidError,
    EmbeddingInvalidError,
    FingerprintMismatchError,
    MetadataInvalidError,
)
from service.services import Services

MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
ERRORS = (
    *BODY,
    ClipIdInvalidError,
    EmbeddingInvalidError,
    FingerprintMismatchError,
    MediaUnsupportedError,
    MetadataInvalidError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["library"])
    described = describe(BulkAnswer, *ERRORS)
    described["openapi_extra"] = ndjson_body(BulkLine, MEDIA_TYPES)
    router.post("/clips/bulk", **described)(post_bulk)
    return router


async def post_bulk(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Store vectors that were computed elsewhere by the same encoder: all lines or none.

    Faulty lines are told together, each by its number.
    """
    kind = media_type(request)
    if kind not in MEDIA_TYPES:
        raise MediaUnsupportedError(
            f"the body is {kind or 'without a content type'}; use {' or '.join(MEDIA_TYPES)}"
        )
    async with AsyncExitStack() as opened:
        file = await buffer_body(request, opened)
        written = await services.threads.requests.run(_store, services, file, timings)
    created = sum(is_new for is_new in written)
    return respond(services, BulkAnswer, created=created, updated=len(written) - created)


def _store(services: Services, file: BinaryIO, timings: RequestTimings) -> list[bool]:
    encoder, max_lines = services.models.encoder, services.settings.max_bulk_clips
    reader = BulkReader(dim=encoder.dim, fingerprint=encoder.fingerprint, max_lines=max_lines)
    with timings.measure("decode"):
        clips = reader.read(file)
    with timings.measure("store"):
        written = services.library.writer.put_many(clips)
    services.library.index.refresh_in_background()
    return [is_new for _, is_new in written]
