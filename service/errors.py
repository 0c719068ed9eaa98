"""All errors that the service raises on purpose.

Status, code and title belong to the class; the instance adds a detail: the fault of this request
and the values that are allowed. Responses are problem details (RFC 9457) with a stable `code`.

    ServiceError
    ├─ ClientError                        the fault is in the request
    │  ├─ AudioError                      every error of decoding a file
    │  │  ├─ FileEmptyError               400  file_empty
    │  │  ├─ AudioUndecodableError        400  audio_undecodable
    │  │  ├─ AudioTruncatedError          400  audio_truncated
    │  │  ├─ MediaUnsupportedError        415  media_unsupported
    │  │  ├─ SampleRateUnsupportedError   422  sample_rate_unsupported
    │  │  ├─ ChannelsUnsupportedError     422  channels_unsupported
    │  │  ├─ AudioNotFiniteError          422  audio_not_finite
    │  │  ├─ AudioEmptyError              422  audio_empty
    │  │  ├─ AudioTooLongError            413  audio_too_long
    │  │  └─ SamplesTooManyError          413  samples_too_many
    │  ├─ BodyTooLargeError               413  body_too_large
    │  ├─ BodyTimeoutError                408  body_timeout
    │  ├─ TooManyFilesError               413  too_many_files
    │  ├─ RequestInvalidError             422  request_invalid
    │  │  ├─ PartMissingError             422  part_missing
    │  │  ├─ KOutOfRangeError             422  k_out_of_range
    │  │  ├─ FilterInvalidError           422  filter_invalid
    │  │  ├─ MetadataInvalidError         422  metadata_invalid
    │  │  ├─ EmbeddingInvalidError        422  embedding_invalid
    │  │  ├─ ClipIdInvalidError           422  clip_id_invalid
    │  │  ├─ CursorInvalidError           422  cursor_invalid
    │  │  ├─ ModifierUnavailableError     422  modifier_unavailable
    │  │  ├─ QueryIncompleteError         422  query_incomplete
    │  │  └─ WindowInvalidError           422  window_invalid
    │  ├─ UnauthorizedError               401  unauthorized
    │  ├─ ForbiddenError                  403  forbidden
    │  ├─ FingerprintMismatchError        409  fingerprint_mismatch
    │  ├─ NotFoundError                   404  not_found
    │  │  ├─ ClipUnknownError             404  clip_unknown
    │  │  └─ ClipAudioMissingError        404  clip_audio_missing
    │  ├─ RangeInvalidError               416  range_invalid
    │  └─ MethodNotAllowedError           405  method_not_allowed
    ├─ UnavailableError                   the request may be repeated later
    │  ├─ OverloadError                   503  overloaded
    │  ├─ NotReadyError                   503  not_ready
    │  └─ DeadlineError                   504  deadline_exceeded
    └─ InternalError                      500  internal; its text is never sent to a client
    StartupError                          the process ends with exit code 1
    ├─ SettingsError
    ├─ BundleError
    ├─ DeviceError
    ├─ KeysError
    ├─ BackupError
    └─ LibraryError
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """An error with a response of its own; clients see its `detail`."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ClientError(ServiceError):
    """The fault is in the request: the same request fails again."""


class AudioError(ClientError):
    """A file cannot be decoded; decoding raises no other error."""


class FileEmptyError(AudioError):
    """The file has no bytes."""

    status, code, title = 400, "file_empty", "The file is empty"


class AudioUndecodableError(AudioError):
    """The bytes are not audio that this service can read."""

    status, code, title = 400, "audio_undecodable", "The file is not readable audio"


class AudioTruncatedError(AudioError):
    """The file ends before the frames that its header declares."""

    status, code, title = 400, "audio_truncated", "The audio file is cut short"


class MediaUnsupportedError(AudioError):
    """The container or codec is known but not supported."""

    status, code, title = 415, "media_unsupported", "The audio format is not supported"


class SampleRateUnsupportedError(AudioError):
    """The source's sample rate is outside the accepted range."""

    status, code, title = 422, "sample_rate_unsupported", "The sample rate is not supported"


class ChannelsUnsupportedError(AudioError):
    """The source has too many channels."""

    status, code, title = 422, "channels_unsupported", "The number of channels is not supported"


class AudioNotFiniteError(AudioError):
    """A sample is NaN, infinite or far beyond full scale."""

    status, code, title = 422, "audio_not_finite", "The audio holds samples that are not finite"


class AudioEmptyError(AudioError):
    """The file is valid but has no samples."""

    status, code, title = 422, "audio_empty", "The audio has no samples"


class AudioTooLongError(AudioError):
    """The clip is longer than the limit in seconds."""

    status, code, title = 413, "audio_too_long", "The audio is too long"


class SamplesTooManyError(AudioError):
    """The samples after resampling exceed their limit."""

    status, code, title = 413, "samples_too_many", "The audio has too many samples"


class BodyTooLargeError(ClientError):
    """The request body has more bytes than the limit."""

    status, code, title = 413, "body_too_large", "The request body is too large"


class BodyTimeoutError(ClientError):
    """The client sent no bytes of the request body for longer than the limit."""

    status, code, title = 408, "body_timeout", "The request body stalled"


class TooManyFilesError(ClientError):
    """The request carries more files than the limit."""

    status, code, title = 413, "too_many_files", "The request has too many files"


class RequestInvalidError(ClientError):
    """The request does not follow the schema of its endpoint."""

    status, code, title = 422, "request_invalid", "The request is invalid"


class PartMissingError(RequestInvalidError):
    """A required part or field is not in the request."""

    code, title = "part_missing", "A part of the request is missing"


class KOutOfRangeError(RequestInvalidError):
    """The number of hits asked for is outside its range."""

    code, title = "k_out_of_range", "k is out of range"


class FilterInvalidError(RequestInvalidError):
    """The metadata filter is not valid."""

    code, title = "filter_invalid", "The filter is invalid"


class MetadataInvalidError(RequestInvalidError):
    """The metadata of a clip is not a flat JSON object within its limits."""

    code, title = "metadata_invalid", "The metadata is invalid"


class EmbeddingInvalidError(RequestInvalidError):
    """A given embedding has the wrong size or values that are not finite."""

    code, title = "embedding_invalid", "The embedding is invalid"


class ClipIdInvalidError(RequestInvalidError):
    """A clip id has a character or a length that is not allowed."""

    code, title = "clip_id_invalid", "The clip id is invalid"


class CursorInvalidError(RequestInvalidError):
    """A listing cursor was not made by this service."""

    code, title = "cursor_invalid", "The cursor is invalid"


class ModifierUnavailableError(RequestInvalidError):
    """A text modifier was given, and the bundle has no text tower."""

    code, title = "modifier_unavailable", "This bundle takes no modifier"


class QueryIncompleteError(RequestInvalidError):
    """A search has no positive term."""

    code, title = "query_incomplete", "The query has nothing to search for"


class WindowInvalidError(RequestInvalidError):
    """The window or hop of a time-resolved answer is outside its range."""

    code, title = "window_invalid", "The window is invalid"


class UnauthorizedError(ClientError):
    """The service requires a key, and the request has none or an unknown one."""

    status, code, title = 401, "unauthorized", "A key is needed"


class ForbiddenError(ClientError):
    """The key does not permit this request."""

    status, code, title = 403, "forbidden", "This key may not do that"


class FingerprintMismatchError(ClientError):
    """Vectors were made by another encoder than that of the service."""

    status, code, title = 409, "fingerprint_mismatch", "The vectors belong to another encoder"


class NotFoundError(ClientError):
    """There is no resource at this path."""

    status, code, title = 404, "not_found", "Not found"


class ClipUnknownError(NotFoundError):
    """The library has no clip of this id."""

    code, title = "clip_unknown", "The clip is unknown"


class ClipAudioMissingError(NotFoundError):
    """The clip has no audio file."""

    code, title = "clip_audio_missing", "The clip has no audio"


class RangeInvalidError(ClientError):
    """The Range header is malformed or beyond the end of the file."""

    status, code, title = 416, "range_invalid", "The range cannot be served"


class MethodNotAllowedError(ClientError):
    """The path does not support this method."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class UnavailableError(ServiceError):
    """The service cannot respond now; the same request may succeed later."""

    status = 503


class OverloadError(UnavailableError):
    """Too many requests are in progress."""

    code, title = "overloaded", "The service is overloaded"


class NotReadyError(UnavailableError):
    """The service is starting or stopping."""

    code, title = "not_ready", "The service is not ready"


class DeadlineError(UnavailableError):
    """The response was not ready before the deadline."""

    status, code, title = 504, "deadline_exceeded", "The deadline passed"


class InternalError(ServiceError):
    """An error of the service itself; the detail is for the log only."""

    status, code, title = 500, "internal", "Internal error"


class StartupError(Exception):
    """The process cannot start with its settings or files."""

    exit_code: ClassVar[int] = 1


class SettingsError(StartupError):
    """A setting is unknown, or its value is not allowed."""


class BundleError(StartupError):
    """A bundle is missing, damaged, or in a format that this version cannot read."""


class DeviceError(StartupError):
    """The requested device is not available."""


class KeysError(StartupError):
    """The file of API keys cannot be read, or its content is not valid."""


class BackupError(StartupError):
    """A backup cannot be made or restored: it is damaged, or its target already exists."""


class LibraryError(StartupError):
    """A library cannot be opened, or belongs to another encoder."""
