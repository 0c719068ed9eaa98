"""From the sounds a request names to their raw embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.audio import Audio, AudioLimits, decode
from service.encoder import Encoder, Windows
from service.errors import SamplesTooManyError, WindowInvalidError
from service.library import Library
from service.timing import Phases
from service.vectors import check_dim


@dataclass(frozen=True, slots=True)
class File:
    """A sound given as the bytes of an audio file."""

    content: BinaryIO


@dataclass(frozen=True, slots=True)
class Stored:
    """A sound given as a clip of the library."""

    clip_id: str


@dataclass(frozen=True, slots=True)
class Vector:
    """A sound given as its raw embedding [dim]."""

    embedding: Float32[np.ndarray, " dim"]


Sound = File | Stored | Vector


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file that was decoded and embedded.

    Attributes:
        audio: The decoded clip.
        embedding: Its raw embedding [dim].
        windows: The embeddings of its windows, if they were asked for.
    """

    audio: Audio
    embedding: Float32[np.ndarray, " dim"]
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Windowing:
    """How to cut a clip into windows: their length and the step from one to the next [s]."""

    window_s: float
    hop_s: float


class Listener:
    """Turns sounds into raw embeddings, within the limits of one request.

    Args:
        encoder: Embeds audio.
        library: Holds the clips that requests name by id.
        limits: `max_seconds` of each file and `max_samples` of all files of a request together.
        max_windows: Most windows of all files of a request together.
        on_audio: Called with the length of each file that was decoded [s].
    """

    def __init__(
        self,
        encoder: Encoder,
        library: Library,
        *,
        limits: AudioLimits,
        max_windows: int,
        on_audio: Callable[[float], None],
    ) -> None:
        self._encoder = encoder
        self._library = library
        self._limits = limits
        self._max_windows = max_windows
        self._on_audio = on_audio

    def embed(self, sounds: Sequence[Sound], phases: Phases) -> list[Float32[np.ndarray, " dim"]]:
        """Return the raw embedding of each sound.

        All files are encoded in one call, which gives equal samples equal bits.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            ClipUnknownError: A named clip is not in the library.
            EmbeddingInvalidError: A given vector has the wrong size.
        """
        # What needs no audio comes first: an unknown clip is told before anything is decoded.
        known = [self._known(sound) for sound in sounds]
        files = [sound.content for sound in sounds if isinstance(sound, File)]
        embedded = iter(self.embed_files(files, phases))
        return [next(embedded).embedding if vector is None else vector for vector in known]

    def embed_files(
        self, files: Sequence[BinaryIO], phases: Phases, *, windowing: Windowing | None = None
    ) -> list[Embedded]:
        """Decode and embed files, in their order.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            WindowInvalidError: The windows would be too short, too long or too many.
        """
        if not files:
            return []
        with phases.measure("decode"):
            audios = self._decode(files)
        with phases.measure("encode"):
            if windowing is not None:
                windows = self._windows(audios, windowing)
                return [
                    Embedded(audio, cut.whole, cut)
                    for audio, cut in zip(audios, windows, strict=True)
                ]
            embeddings = self._encoder.embed([audio.samples for audio in audios])
        return [Embedded(*parts) for parts in zip(audios, embeddings, strict=True)]

    def _known(self, sound: Sound) -> Float32[np.ndarray, " dim"] | None:
        match sound:
            case Stored(clip_id):
                return self._library.embedding(clip_id)
            case Vector(embedding):
                return check_dim(embedding, self._encoder.dim)
            case File():
                return None

    def _decode(self, files: Sequence[BinaryIO]) -> list[Audio]:
        audios: list[Audio] = []
        left = self._limits.max_samples
        for file in files:
            limits = replace(self._limits, max_samples=left)
            try:
                audio = decode(file, sample_rate=self._encoder.sample_rate, limits=limits)
            except SamplesTooManyError as error:
                raise SamplesTooManyError(
                    f"the files of a request have at most {self._limits.max_samples} samples"
                    f" together, at {self._encoder.sample_rate} Hz"
                ) from error
            audios.append(audio)
            left -= audio.samples.size
            self._on_audio(audio.duration_s)
        return audios

    def _windows(self, audios: Sequence[Audio], windowing: Windowing) -> list[Windows]:
        window_s, hop_s = windowing.window_s, windowing.hop_s
        n_windows = sum(1 + max(0, audio.duration_s - window_s) / hop_s for audio in audios)
        if n_windows > self._max_windows:
            raise WindowInvalidError(
                f"a hop_s of {hop_s:g} s makes about {n_windows:.0f} windows here;"
                f" {self._max_windows} are allowed"
            )
        return [
            self._encoder.embed_windows(audio.samples, window_s=window_s, hop_s=hop_s)
            for audio in audios
        ]
