"""From the sounds a request names to their raw embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.hearing import Ear
from service.library import Library
from service.pooling import Windowing, Windows
from service.takes import Embedded
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
class Heard:
    """What is known of a sound.

    Attributes:
        embedding: Its raw embedding [dim].
        mean_square: Of its samples; None where only its embedding is known.
        windows: Its embeddings over time, if they were asked for.
    """

    embedding: Float32[np.ndarray, " dim"]
    mean_square: float | None = None
    windows: Windows | None = None


class Listener:
    """Turns sounds into raw embeddings.

    Args:
        ear: Embeds files.
        library: Holds the clips that requests name by id.
    """

    def __init__(self, ear: Ear, library: Library) -> None:
        self._ear = ear
        self._library = library

    def embed(self, sounds: Sequence[Sound], phases: Phases) -> list[Float32[np.ndarray, " dim"]]:
        """Return the raw embedding of each sound.

        Equal samples get equal bits.

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

    def hear(
        self, sounds: Sequence[Sound], phases: Phases, *, windowing: Windowing | None = None
    ) -> list[Heard]:
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
            files = [sound.content for sound in sounds if isinstance(sound, File)]
            embedded = iter(self.embed_files(files, phases, windowing=windowing))
            return [heard(next(embedded)) if vector is None else Heard(vector) for vector in known]

    def embed_files(
        self,
        files: Sequence[BinaryIO],
        phases: Phases,
        *,
        windowing: Windowing | None = None,
        max_windows: int | None = None,
    ) -> list[Embedded]:
        """Decode and embed files, in their order, see `Ear.embed`.

        Raises:
            AudioError: A file does not become audio, or is over a limit.
            WindowInvalidError: The windows would be too short, too long or too many.
        """
        return self._ear.embed(files, phases, windowing=windowing, max_windows=max_windows)

    def _open(self, sound: Sound, opened: ExitStack) -> Sound:
        """Return the audio of a stored clip, and any other sound as it is."""
        if not isinstance(sound, Stored):
            return sound
        path = self._library.open_audio(sound.clip_id)
        return File(opened.enter_context(path.open("rb")))

    def _known(self, sound: Sound) -> Float32[np.ndarray, " dim"] | None:
        match sound:
            case Stored(clip_id):
                return self._library.embedding(clip_id)
            case Vector(embedding):
                return check_dim(embedding, self._ear.encoder.dim)
            case File():
                return None


def heard(embedded: Embedded) -> Heard:
    """Return what is known of a file that was embedded."""
    return Heard(embedded.embedding, embedded.mean_square, embedded.windows)
