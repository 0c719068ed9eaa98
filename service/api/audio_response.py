"""The audio of a clip as a response: whole, one part of it, or "not modified"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import anyio
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.etag import etag_headers, matches_etag, not_modified
from service.api.problems import problem_response
from service.api.ranges import requested_range
from service.errors import RangeInvalidError
from service.library.clip_audio import ClipAudio

CHUNK_BYTES = 64 * 1024
UNKNOWN_TYPE = "application/octet-stream"


def audio_response(request: Request, audio: ClipAudio) -> Response:
    """Return the response to a request for audio; it closes the audio.

    Its entity tag is the SHA-256 of the file.
    """
    tag = audio.record.sha256 or ""
    headers = {**etag_headers(tag), "accept-ranges": "bytes"}
    if matches_etag(request, tag):
        audio.file.close()
        return not_modified(headers)
    media_type = audio.record.media_type or UNKNOWN_TYPE
    if "minuend.head" in request.scope:
        audio.file.close()
        headers["content-length"] = str(audio.size_bytes)
        return Response(None, HTTPStatus.OK, headers, media_type)
    try:
        part = requested_range(request.headers, audio.size_bytes, tag)
    except RangeInvalidError as error:
        audio.file.close()
        size = {"content-range": f"bytes */{audio.size_bytes}"}
        return problem_response(request.scope, error, **size)
    return _AudioResponse(audio, part, headers)


class _AudioResponse(StreamingResponse):
    """Sends the bytes of an open file, which keeps them whatever happens to its name."""

    def __init__(self, audio: ClipAudio, part: range | None, headers: dict[str, str]) -> None:
        sent = range(audio.size_bytes) if part is None else part
        headers["content-length"] = str(len(sent))
        if part is not None:
            span = f"{part.start}-{part.stop - 1}"
            headers["content-range"] = f"bytes {span}/{audio.size_bytes}"
        status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
        media_type = audio.record.media_type or UNKNOWN_TYPE
        super().__init__(_read(audio, sent), status, headers, media_type)
        self._audio = audio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._audio:
            await super().__call__(scope, receive, send)


async def _read(audio: ClipAudio, sent: range) -> AsyncIterator[bytes]:
    for start in sent[::CHUNK_BYTES]:
        size_bytes = min(CHUNK_BYTES, sent.stop - start)
        yield await anyio.to_thread.run_sync(audio.read_at, start, size_bytes)
