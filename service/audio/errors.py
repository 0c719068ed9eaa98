"""Errors of audio files that requests contain."""

from __future__ import annotations

from service.errors import ClientError


class AudioError(ClientError):
    """The file cannot be decoded, or is over a limit; decoding raises no other error."""


class FileEmptyError(AudioError):
    """The file has no bytes."""

    status, code, title = 400, "file_empty", "The file is empty"


class AudioUndecodableError(AudioError):
    """The bytes are not audio that this service reads."""

    status, code, title = 400, "audio_undecodable", "The file is not readable audio"


class AudioTruncatedError(AudioError):
    """The file ends before the frames that its header declares."""

    status, code, title = 400, "audio_truncated", "The audio file is cut short"


class MediaUnsupportedError(AudioError):
    """The container or codec is known but not decoded here."""

    status, code, title = 415, "media_unsupported", "The audio format is not supported"


class SampleRateUnsupportedError(AudioError):
    """The source's sample rate is outside the accepted range."""

    status, code, title = 422, "sample_rate_unsupported", "The sample rate is not supported"


class ChannelsUnsupportedError(AudioError):
    """The source has too many channels."""

    status, code, title = 422, "channels_unsupported", "The number of channels is not supported"


class AudioNotFiniteError(AudioError):
    """A sample is NaN, infinite or too large."""

    status, code, title = 422, "audio_not_finite", "The audio holds samples that are not finite"


class AudioEmptyError(AudioError):
    """The file is valid but holds no frame."""

    status, code, title = 422, "audio_empty", "The audio has no samples"


class AudioTooLongError(AudioError):
    """The clip is longer than the limit in seconds."""

    status, code, title = 413, "audio_too_long", "The audio is too long"


class SamplesTooManyError(AudioError):
    """The samples after resampling exceed their limit."""

    status, code, title = 413, "samples_too_many", "The audio has too many samples"
