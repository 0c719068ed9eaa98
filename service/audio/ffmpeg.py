"""Decoding by FFmpeg through PyAV (extra `aac`): AAC and ALAC in MP4, and AAC in ADTS.

libsndfile does not read these formats. FFmpeg is restricted: the demuxer is forced, only two codecs
may be opened, and no protocol or data reference is followed, so that a file cannot refer to others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Literal

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import Float32

from service.audio.errors import AudioEmptyError, AudioTruncatedError, AudioUndecodableError

_CODECS = ("aac", "alac")
_OPTIONS = {
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(_CODECS),
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
_MEDIA_TYPES = {"mp4": "audio/mp4", "aac": "audio/aac"}
# Exceptions of PyAV for damaged content: those of FFmpeg, and ValueError if the rate or the layout
# changes within a stream.
_DAMAGE = (FFmpegError, ValueError)


class AacStream:
    """A source that FFmpeg decodes; rate and channels are those of the first decoded frame.

    Args:
        source: Seekable binary file.
        demuxer: The container format of the source; no other one is accepted.

    Raises:
        AudioUndecodableError: The source cannot be opened, or holds no AAC or ALAC audio.
        AudioEmptyError: The source holds no frame.
    """

    def __init__(self, source: BinaryIO, demuxer: Literal["mp4", "aac"]) -> None:
        source.seek(0)
        self.media_type = _MEDIA_TYPES[demuxer]
        try:
            self._container = av.open(
                source, "r", format=demuxer, options=_OPTIONS, metadata_errors="replace"
            )
        except _DAMAGE as error:
            raise AudioUndecodableError(f"the {demuxer} file cannot be opened") from error
        try:
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise AudioEmptyError(f"the {demuxer} file holds no audio frames")
        except BaseException:
            self._container.close()
            raise
        self._frames = chain([first], self._frames)
        self.sample_rate_hz = int(first.sample_rate)
        self.channels = int(first.layout.nb_channels)

    def _decode(self) -> Iterator[av.AudioFrame]:
        streams = self._container.streams.audio
        codec = streams[0].codec_context if streams else None
        # A stream whose codec may not be opened has no context.
        if codec is None or codec.name not in _CODECS:
            raise AudioUndecodableError(f"there is no audio of the codecs {', '.join(_CODECS)}")
        to_interleaved = av.AudioResampler(format="flt")
        n_read = 0
        try:
            for frame in self._container.decode(streams[0]):
                n_read += frame.samples
                yield from to_interleaved.resample(frame)
        except _DAMAGE as error:
            if n_read == 0:
                raise AudioUndecodableError("the first audio frame is damaged") from error
            raise AudioTruncatedError(
                f"decoding ended after {n_read} frames: the file is cut short or damaged"
            ) from error

    def blocks(self) -> Iterator[Float32[np.ndarray, "frames channels"]]:
        """Yield the samples in order; a block is one frame of the codec."""
        for frame in self._frames:
            yield frame.to_ndarray().reshape(-1, self.channels)

    def close(self) -> None:
        """Free the decoder; the source stays open."""
        self._container.close()
