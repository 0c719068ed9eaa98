"""Pictures of audio files and stored clips: waveform outline and spectrogram."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.audio.decoder import Decoder, decode_blocks, decode_whole
from service.audio.decoding import AudioLimits
from service.clips import ClipRecord
from service.concurrency.timings import RequestTimings
from service.library.library import Library
from service.pictures.png import to_png
from service.pictures.spectrogram import draw, outline

CACHE_PICTURES = 512
VERSION = 1
"""Raised when the drawing changes, so that clients drop pictures that they have cached."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Picture of a clip.

    Attributes:
        duration_s: Length of the clip [s].
        minima: Lowest sample of each column [columns], -1..1 at full scale.
        maxima: Highest sample of each column [columns].
        spectrogram: PNG of `service.pictures.spectrogram.draw`.
    """

    duration_s: float
    minima: Float32[np.ndarray, " columns"]
    maxima: Float32[np.ndarray, " columns"]
    spectrogram: bytes


class Gallery:
    """Draws pictures and caches the ones used last.

    Args:
        library: The clips and their audio.
        sample_rate: Rate to which audio is resampled [Hz].
        limits: Limits of one file.
        decoder: Decodes the files.
    """

    def __init__(
        self,
        library: Library,
        *,
        sample_rate: int,
        limits: AudioLimits,
        decoder: Decoder = decode_blocks,
    ) -> None:
        self._library = library
        self._sample_rate = sample_rate
        self._limits = limits
        self._decoder = decoder
        self._cache: OrderedDict[str, Picture] = OrderedDict()
        self._lock = Lock()

    def of_clip(
        self, record: ClipRecord, columns: int, timings: RequestTimings
    ) -> tuple[str, Picture]:
        """Return the picture of a stored clip, with its name.

        The name is that of `name_of`. If the clip was replaced since its record was read, the
        picture and its name are of a newer version.

        Raises:
            ClipUnknownError: The clip was deleted.
            ClipAudioMissingError: The clip has no audio, or its file is missing.
            AudioError: The file has changed and cannot be decoded.
        """
        name = name_of(record, columns)
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                return name, self._cache[name]
        with self._library.open_audio(record.id) as opened:
            name = name_of(opened.record, columns)
            picture = self.of_file(opened.file, columns, timings)
        with self._lock:
            self._cache[name] = picture
            if len(self._cache) > CACHE_PICTURES:
                self._cache.popitem(last=False)
        return name, picture

    def of_file(self, content: BinaryIO, columns: int, timings: RequestTimings) -> Picture:
        """Return the picture of an audio file.

        Raises:
            AudioError: The file cannot be decoded, or is over a limit.
        """
        with timings.measure("decode"):
            samples, source = decode_whole(
                self._decoder,
                content,
                sample_rate=self._sample_rate,
                limits=self._limits,
                deadline=timings.deadline,
            )
        with timings.measure("draw"):
            minima, maxima = outline(samples, columns)
            shades = draw(samples, sample_rate=self._sample_rate, columns=columns)
            return Picture(source.duration_s, minima, maxima, to_png(shades))


def name_of(record: ClipRecord, columns: int) -> str:
    """Return a name for the picture of a clip, which changes when the picture may change."""
    return f"{VERSION}-{columns}-{record.sha256}"
