"""Errors that the service raises on purpose.

Status, code and title are attributes of the class; the instance adds what is wrong with the request
and what is allowed. Responses are problem details (RFC 9457) with a stable `code`. The codes are
listed in `docs/reference/errors.md`.

A `ServiceError` becomes a response: a `ClientError` is the client's fault, after an
`UnavailableError` the request may be repeated later, and the text of an `InternalError` is not
sent; a `DamagedError` says what is damaged. A `StartupError` ends the process with exit code 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ServiceError(Exception):
    """An error that becomes a response; clients see its `detail`."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ClientError(ServiceError):
    """The request is wrong; repeating it unchanged fails again."""


class BodyTooLargeError(ClientError):
    """The request body has more bytes than the limit."""

    status, code, title = 413, "body_too_large", "The request body is too large"


class BodyTimeoutError(ClientError):
    """The request body paused for longer than the limit, or arrived too slowly."""

    status, code, title = 408, "body_timeout", "The request body stalled"


class RequestMalformedError(ClientError):
    """The request is not HTTP/1.1, or its message framing is ambiguous."""

    status, code, title = 400, "request_malformed", "The request is not valid HTTP"


class HeadTooLargeError(ClientError):
    """The request line and headers have more bytes, or there are more headers, than allowed."""

    status, code, title = 431, "head_too_large", "The request headers are too large"


class HeadTimeoutError(ClientError):
    """The request line and headers did not arrive in time."""

    status, code, title = 408, "head_timeout", "The request headers took too long"


class HostForbiddenError(ClientError):
    """The Host header names a host that this service does not answer for."""

    status, code, title = 403, "host_forbidden", "This host name is not served"


class CrossSiteError(ClientError):
    """A web page of another site sent the request."""

    status, code, title = 403, "cross_site", "Pages of other sites may not do that"


class TooManyFilesError(ClientError):
    """The request has more files than the limit."""

    status, code, title = 413, "too_many_files", "The request has too many files"


class RequestInvalidError(ClientError):
    """The request does not follow the schema of its endpoint."""

    status, code, title = 422, "request_invalid", "The request is invalid"


class PartMissingError(RequestInvalidError):
    """A required part or field is not in the request."""

    code, title = "part_missing", "A part of the request is missing"


class KOutOfRangeError(RequestInvalidError):
    """The number of hits is outside its range."""

    code, title = "k_out_of_range", "k is out of range"


class FilterInvalidError(RequestInvalidError):
    """The metadata filter cannot be parsed."""

    code, title = "filter_invalid", "The filter is invalid"


class MetadataInvalidError(RequestInvalidError):
    """The metadata of a clip is not a flat JSON object within its limits."""

    code, title = "metadata_invalid", "The metadata is invalid"


class EmbeddingInvalidError(RequestInvalidError):
    """A given embedding has the wrong size or values that are not finite."""

    code, title = "embedding_invalid", "The embedding is invalid"


class ClipIdInvalidError(RequestInvalidError):
    """A clip id has characters or a length that are not allowed."""

    code, title = "clip_id_invalid", "The clip id is invalid"


class CursorInvalidError(RequestInvalidError):
    """A listing cursor was not made by this service."""

    code, title = "cursor_invalid", "The cursor is invalid"


class ModifierUnavailableError(RequestInvalidError):
    """A text modifier was given but the bundle has no text tower."""

    code, title = "modifier_unavailable", "This bundle takes no modifier"


class QueryIncompleteError(RequestInvalidError):
    """A search has neither a sound nor a text."""

    code, title = "query_incomplete", "The query has nothing to search for"


class WindowInvalidError(RequestInvalidError):
    """The window or hop of a time-resolved response is outside its range."""

    code, title = "window_invalid", "The window is invalid"


class UnauthorizedError(ClientError):
    """An API key is required, and the request has no valid one."""

    status, code, title = 401, "unauthorized", "A key is needed"


class ForbiddenError(ClientError):
    """The API key does not allow this request."""

    status, code, title = 403, "forbidden", "This key may not do that"


class FingerprintMismatchError(ClientError):
    """The vectors were made by another encoder than that of the bundle."""

    status, code, title = 409, "fingerprint_mismatch", "The vectors belong to another encoder"


class NotFoundError(ClientError):
    """The path does not exist."""

    status, code, title = 404, "not_found", "Not found"


class ClipUnknownError(NotFoundError):
    """The library has no clip of this id."""

    code, title = "clip_unknown", "The clip is unknown"


class ClipAudioMissingError(NotFoundError):
    """The clip has no audio to play or encode."""

    code, title = "clip_audio_missing", "The clip has no audio"


class RangeInvalidError(ClientError):
    """The range that is asked for lies beyond the end of the file."""

    status, code, title = 416, "range_invalid", "The range cannot be served"


class MethodNotAllowedError(ClientError):
    """The path exists but not with this method."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class UnavailableError(ServiceError):
    """The service cannot respond now; the same request may succeed later."""

    status = 503


class OverloadError(UnavailableError):
    """There are more requests than the service can handle in time."""

    code, title = "overloaded", "The service is overloaded"


class NotReadyError(UnavailableError):
    """The service is starting or stopping, or a part of it does not work; `parts` says why."""

    code, title = "not_ready", "The service is not ready"

    def __init__(self, detail: str, *, parts: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.parts = dict(parts or {})


class StorageFullError(UnavailableError):
    """A disk has no room for what is to be written; nothing was stored."""

    status, code, title = 507, "storage_full", "The storage is full"


class StorageUnavailableError(UnavailableError):
    """A disk cannot be read or written now, such as one that is mounted read-only."""

    code, title = "storage_unavailable", "The storage is unavailable"


class DeadlineError(UnavailableError):
    """The response was not ready in time."""

    status, code, title = 504, "deadline_exceeded", "The deadline passed"


class InternalError(ServiceError):
    """An error of the service itself; its detail is logged and not sent."""

    status, code, title = 500, "internal", "Internal error"


class DamagedError(ServiceError):
    """Stored data is damaged; it is not served, and the rest of the library keeps working."""

    status = 500


class ClipDamagedError(DamagedError):
    """The record, an embedding or the audio of a clip differs from its checksum."""

    code, title = "clip_damaged", "The clip is damaged"


class StartupError(Exception):
    """The process cannot start."""

    exit_code: ClassVar[int] = 1


class SettingsError(StartupError):
    """A setting is unknown or has a value that is not allowed."""


class BundleError(StartupError):
    """The bundle is missing, damaged, or not of a format that this version reads."""


class DeviceError(StartupError):
    """The device of the settings is not available."""


class KeysError(StartupError):
    """The file of API keys cannot be read, or a line is wrong."""


class BackupError(StartupError):
    """A backup cannot be made or restored: it is damaged, or the target exists."""


class LibraryError(StartupError):
    """The library cannot be opened: it is missing, damaged, or belongs to another encoder."""


class LibraryDamagedError(DamagedError, LibraryError):
    """The catalogue cannot be read, or an index of it is wrong: at the start, or while serving."""

    code, title = "library_damaged", "The library is damaged"
