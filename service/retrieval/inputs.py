"""From the sounds a request names to their raw embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.clips import Windows
from service.concurrency.timings import RequestTimings
from service.difference import check_dim
from service.errors import ClipUnknownError
from service.inference.file_embedder import FileEmbedder
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing
from service.library.library import Library


@dataclass(frozen=True, slots=True)
class FileInput:
    """A sound given as the bytes of an audio file."""

    content: BinaryIO


@dataclass(frozen=True, slots=True)
class ClipInput:
    """A sound given as a clip of the library."""

    clip_id: str


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """A sound given as its raw embedding [dim]."""

    embedding: Float32[np.ndarray, " dim"]


AudioInput = FileInput | ClipInput | EmbeddingInput


@dataclass(frozen=True, slots=True)
class EmbeddedInput:
    """What is known of a sound.

    Attributes:
        embedding: Its raw embedding [dim].
        mean_square: Of its samples; None where only its embedding is known.
        windows: Its embeddings over time, if they were asked for.
    """

    embedding: Float32[np.ndarray, " dim"]
    mean_square: float | None = None
    windows: Windows | None = None


class InputEmbedder:
    """Turns sounds into raw embeddings.

    Args:
        embedder: Embeds files.
        library: Holds the clips that requests name by id; None if they name none.
    """

    def __init__(self, embedder: FileEmbedder, library: Library | None) -> None:
        self._embedder = embedder
        self.library = library

    def embed(
        self, sounds: Sequence[AudioInput], timings: RequestTimings
    ) -> list[Float32[np.ndarray, " dim"]]:
        """Return the raw embedding of each sound.

        Equal samples get equal bits.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            ClipUnknownError: A named clip is not in the library.
            EmbeddingInvalidError: A given vector has the wrong size.
        """
        # What needs no audio comes first: an unknown clip is told before anything is decoded.
        known = [self._known(sound) for sound in sounds]
        files = [sound.content for sound in sounds if isinstance(sound, FileInput)]
        embedded = iter(self._embedder.embed(files, timings))
        return [next(embedded).embedding if vector is None else vector for vector in known]

    def hear(
        self,
        sounds: Sequence[AudioInput],
        timings: RequestTimings,
        *,
        windowing: Windowing | None = None,
    ) -> list[EmbeddedInput]:
        """Return what is known of each sound; equal samples get equal bits.

        Of a stored clip that is its embedding alone; to have its windows, its audio is decoded.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            ClipUnknownError: A named clip is not in the library.
            ClipAudioMissingError: Windows of a clip are asked for that has no audio.
            EmbeddingInvalidError: A given vector has the wrong size.
            WindowInvalidError: The windows would be too short, too long or too many.
        """
        with ExitStack() as opened:
            if windowing is not None:
                sounds = [self._open(sound, opened) for sound in sounds]
            known = [self._known(sound) for sound in sounds]
            files = [sound.content for sound in sounds if isinstance(sound, FileInput)]
            embedded = iter(self._embedder.embed(files, timings, windowing=windowing))
            return [
                embedded_input(next(embedded)) if vector is None else EmbeddedInput(vector)
                for vector in known
            ]

    def _open(self, sound: AudioInput, opened: ExitStack) -> AudioInput:
        """Return the audio of a stored clip, and any other sound as it is."""
        if not isinstance(sound, ClipInput):
            return sound
        path = self._clips(sound.clip_id).open_audio(sound.clip_id)
        return FileInput(opened.enter_context(path.open("rb")))

    def _clips(self, clip_id: str) -> Library:
        if self.library is None:
            raise ClipUnknownError(f"there is no clip {clip_id!r}: no library is open")
        return self.library

    def _known(self, sound: AudioInput) -> Float32[np.ndarray, " dim"] | None:
        match sound:
            case ClipInput(clip_id):
                return self._clips(clip_id).embedding(clip_id)
            case EmbeddingInput(embedding):
                return check_dim(embedding, self._embedder.encoder.dim)
            case FileInput():
                return None


def embedded_input(embedded: Embedded) -> EmbeddedInput:
    """Return what is known of a file that was embedded."""
    return EmbeddedInput(embedded.embedding, embedded.mean_square, embedded.windows)
