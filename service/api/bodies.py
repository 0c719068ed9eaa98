"""Request bodies of four kinds become parts: files by name, and fields by name.

Nothing here knows which names an endpoint takes; `service.api.forms` checks that.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import orjson
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from service.errors import BodyTooLargeError, RequestInvalidError, TooManyFilesError

MAX_FIELDS = 64
MAX_FIELD_BYTES = 1024 * 1024
MAX_JSON_BYTES = 4 * 1024 * 1024
SPOOL_BYTES = 1024 * 1024
"""A raw body stays in memory up to this size and goes to a temporary file beyond it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request, open for reading at its start."""

    file: BinaryIO
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a request holds before anything of it is checked; names may repeat."""

    values: list[tuple[str, Any]] = field(default_factory=list)
    files: list[tuple[str, Upload]] = field(default_factory=list)


async def read_multipart(request: Request, files: ExitStack, *, max_files: int) -> Parts:
    """Read a multipart/form-data body; its files are closed with `files`.

    Raises:
        TooManyFilesError: It has more files than `max_files`.
        RequestInvalidError: It is malformed, or has too many or too large fields.
    """
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise TooManyFilesError(f"a request has at most {max_files} files") from error
        raise RequestInvalidError(f"multipart: {error.message}") from error
    parts = Parts()
    for name, part in form.multi_items():
        if isinstance(part, UploadFile):
            files.callback(part.file.close)
            parts.files.append((name, Upload(part.file, part.filename)))
        else:
            parts.values.append((name, part))
    return parts


async def read_urlencoded(request: Request) -> Parts:
    """Read an application/x-www-form-urlencoded body.

    Raises:
        RequestInvalidError: It has too many or too large fields.
    """
    parser = FormParser(
        request.headers, request.stream(), max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestInvalidError(f"urlencoded: {error.message}") from error
    return Parts(values=list(form.multi_items()))


async def read_json(request: Request) -> Parts:
    """Read an application/json body, which must be an object.

    Raises:
        BodyTooLargeError: It is larger than `MAX_JSON_BYTES`.
        RequestInvalidError: It is not a JSON object.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise BodyTooLargeError(f"a JSON body has at most {MAX_JSON_BYTES} bytes")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalidError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestInvalidError("the JSON body must be an object")
    return Parts(values=list(document.items()))


async def spool(stream: AsyncIterator[bytes], files: ExitStack) -> BinaryIO:
    """Gather a stream into a file, open at its start and closed with `files`."""
    chunks: list[bytes] = []
    n_bytes = 0
    async for chunk in stream:
        chunks.append(chunk)
        n_bytes += len(chunk)
        if n_bytes > SPOOL_BYTES:
            return await _spool_to_disk(chunks, stream, files)
    return files.enter_context(io.BytesIO(b"".join(chunks)))


async def _spool_to_disk(
    chunks: list[bytes], stream: AsyncIterator[bytes], files: ExitStack
) -> BinaryIO:
    file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by `files`
    file.writelines(chunks)
    async for chunk in stream:
        file.write(chunk)
    file.seek(0)
    return cast(BinaryIO, file)
