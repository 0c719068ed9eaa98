"""Clips of the library: add, list, describe, play and remove them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.audio_response import audio_response
from service.api.forms import read_form, validate
from service.api.openapi import AUDIO, READ, WRITE, ErrorClasses, describe
from service.api.request_models import ClipForm, ListQuery
from service.api.response_models import ClipAnswer, ListAnswer, clip_body
from service.api.responses import respond
from service.api.routes.dependencies import ClipIdPath, ServicesDep, TimingsDep
from service.clips import check_id
from service.errors import (
    ClipAudioMissingError,
    ClipDamagedError,
    ClipIdInvalidError,
    ClipUnknownError,
    CursorInvalidError,
    FilterInvalidError,
    MetadataInvalidError,
    PartMissingError,
    RangeInvalidError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["library"])
    given = (*AUDIO, MetadataInvalidError, PartMissingError)
    router.post("/clips", **describe(ClipAnswer, *given, form=ClipForm, status=201))(post_clip)
    listed = describe(ListAnswer, CursorInvalidError, FilterInvalidError, *READ, form=ListQuery)
    router.get("/clips", **listed)(list_clips)
    put = describe(ClipAnswer, *given, ClipIdInvalidError, form=ClipForm, status=201)
    router.put("/clips/{clip_id}", **put)(put_clip)
    damaged: ErrorClasses = (ClipUnknownError, ClipDamagedError, *READ)
    router.get("/clips/{clip_id}", **describe(ClipAnswer, *damaged))(get_clip)
    deleted = describe(None, ClipUnknownError, *WRITE, status=204)
    router.delete("/clips/{clip_id}", **deleted)(delete_clip)
    played = describe(
        None, *damaged, ClipAudioMissingError, RangeInvalidError, media_types=("audio/*",)
    )
    part = {"description": "Part", "content": played["responses"][200]["content"]}
    played["responses"] |= {206: part, 304: {"description": "Not modified"}}
    router.get("/clips/{clip_id}/audio", **played)(get_audio)
    return router


async def post_clip(request: Request, services: ServicesDep, timings: TimingsDep) -> Response:
    """Store an audio file under an id taken from its content.

    Posting the same file again replaces its metadata and answers 200 instead of 201. The clip is
    on the disk before the answer.
    """
    return await _store(request, services, timings, None)


async def put_clip(
    clip_id: ClipIdPath, request: Request, services: ServicesDep, timings: TimingsDep
) -> Response:
    """Store an audio file under an id of one's own; 200 instead of 201 if it replaces a clip.

    The clip is on the disk before the answer.
    """
    return await _store(request, services, timings, check_id(clip_id))


async def _store(
    request: Request, services: ServicesDep, timings: TimingsDep, clip_id: str | None
) -> Response:
    async with read_form(request, ClipForm, services.settings.max_files) as form:
        record, is_new = await services.threads.requests.run(
            services.uploader.store,
            form.audio.file,
            clip_id=clip_id,
            metadata=form.metadata,
            timings=timings,
        )
    clip, location = clip_body(record), f"/clips/{record.id}"
    status_code = 201 if is_new else 200
    return respond(services, ClipAnswer, status_code=status_code, location=location, clip=clip)


async def list_clips(request: Request, services: ServicesDep) -> Response:
    """List clips, oldest first, page by page; a clip that stays is listed exactly once."""
    fields = validate(ListQuery, request.query_params.multi_items())
    pool = services.threads.lookups if fields.filter is None else services.threads.scans
    records, cursor = await pool.run(
        services.library.page, fields.cursor, fields.limit, fields.filter
    )
    clips = [clip_body(record) for record in records]
    return respond(services, ListAnswer, clips=clips, next_cursor=cursor)


async def get_clip(clip_id: ClipIdPath, services: ServicesDep) -> Response:
    """Tell about one clip."""
    record = await services.threads.lookups.run(services.library.catalog.get, clip_id)
    return respond(services, ClipAnswer, clip=clip_body(record))


async def delete_clip(clip_id: ClipIdPath, services: ServicesDep) -> Response:
    """Remove a clip, and its stored audio unless another clip has the same; durable."""
    await services.threads.deletes.run(services.library.writer.delete, clip_id)
    return Response(status_code=204)


async def get_audio(clip_id: ClipIdPath, request: Request, services: ServicesDep) -> Response:
    """Play a clip: its original file, or the part that a Range header asks for.

    All of a response is of one version of the clip. The entity tag is the SHA-256 of the file.
    """
    return audio_response(
        request, await services.threads.lookups.run(services.library.open_audio, clip_id)
    )
