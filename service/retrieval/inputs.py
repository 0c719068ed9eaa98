"""Embeddings of the sounds that a request names: files, clips of the library, or embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.concurrency.timings import RequestTimings
from service.difference import check_dim
from service.errors import ClipUnknownError
from service.inference.file_embedder import FileEmbedder
from service.inference.pooling import Windowing
from service.library.library import Library
from service.retrieval.embedded import EmbeddedInput
from service.retrieval.options import DEFAULT_HOP_S
from service.retrieval.timeline import WINDOW_S


@dataclass(frozen=True, slots=True)
class FileInput:
    """A sound given as an audio file."""

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


class InputEmbedder:
    """Embeds sounds.

    Args:
        embedder: Embeds files.
        library: Holds the clips that are named by id; None if there are none.
    """

    def __init__(self, embedder: FileEmbedder, library: Library | None) -> None:
        self._embedder = embedder
        self.library = library

    def embed(
        self,
        inputs: Sequence[AudioInput],
        timings: RequestTimings,
        *,
        windowing: Windowing | None = None,
        files_only: bool = False,
    ) -> list[EmbeddedInput]:
        """Embed sounds, in their order; equal samples get equal bits.

        The embedding of a clip is the stored one. For windows, its audio is decoded again.

        Args:
            inputs: The sounds.
            timings: Takes the time spent.
            windowing: Cut the sounds into windows.
            files_only: Cut the files alone; clips are not decoded.

        Raises:
            AudioError: A file is not readable audio, or is over a limit.
            ClipUnknownError: A named clip is not in the library.
            ClipAudioMissingError: Windows are asked for of a clip without audio.
            EmbeddingInvalidError: A given embedding has the wrong size.
            WindowInvalidError: The windows would be too short, too long or too many.
        """
        with ExitStack() as opened:
            # An unknown clip is refused here, before any file is decoded.
            is_cut = windowing is not None and not files_only
            found = [self._find(sound, opened, is_cut=is_cut) for sound in inputs]
            files = [sound for sound in found if not isinstance(sound, EmbeddedInput)]
            decoded = self._embedder.embed(files, timings, windowing=windowing)
            embedded = iter(
                [EmbeddedInput(each.embedding, each.mean_square, each.windows) for each in decoded]
            )
            return [
                sound if isinstance(sound, EmbeddedInput) else next(embedded) for sound in found
            ]

    def description_windowing(self, n_inputs: int) -> Windowing | None:
        """Return windows that tell when something happens; longer sounds have none.

        Args:
            n_inputs: Sounds of the request, which share the limit on windows.

        Returns:
            None if the encoder cannot cut so short windows.
        """
        info = self._embedder.encoder.info
        up_to_s = self._embedder.limits.max_windows * DEFAULT_HOP_S / n_inputs
        windowing = Windowing(WINDOW_S, DEFAULT_HOP_S, beyond_s=WINDOW_S, up_to_s=up_to_s)
        partial_s = info.partial_frames * info.block_samples / info.sample_rate_hz
        return windowing if partial_s <= DEFAULT_HOP_S else None

    def _find(
        self, sound: AudioInput, opened: ExitStack, *, is_cut: bool
    ) -> EmbeddedInput | BinaryIO:
        """Return the embedding of a sound or, if it is to be decoded, its file."""
        match sound:
            case FileInput(content):
                return content
            case EmbeddingInput(embedding):
                return EmbeddedInput(check_dim(embedding, self._embedder.encoder.dim))
            case ClipInput(clip_id):
                if self.library is None:
                    raise ClipUnknownError(f"clip {clip_id!r}: no library is open")
                if is_cut:
                    return opened.enter_context(self.library.open_audio(clip_id)).file
                return EmbeddedInput(self.library.catalog.embedding(clip_id))
