"""A library embedded anew by another encoder, while services on the old one go on.

Clips that have no windows, though they are long enough, are embedded anew as well.

The vectors come beside those that are there, in small commits, so that a run that was stopped,
however it was, is gone on with by running it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.catalog.reembed_queue import Pending
from service.catalog.vectors import Embeddings
from service.difference import fits
from service.errors import ClipAudioMissingError, ClipUnknownError
from service.library.file_reader import EmbeddedFile, FileReader, Hashed, Unreadable
from service.library.library import Library

PAGE_CLIPS = 64


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip that could not be embedded.

    Attributes:
        clip_id: The clip.
        code: Stable, as the service's errors have it; `file_unreadable` if the system refuses the
            file, `file_changed` if it is not the file that was added.
        reason: What is wrong.
    """

    clip_id: str
    code: str
    reason: str


@dataclass(slots=True)
class Report:
    """What embedding anew did.

    Attributes:
        embedded: Clips that were embedded.
        unchanged: Clips that had all vectors of this encoder before.
        left_out: Clips that could not be embedded.
    """

    embedded: int = 0
    unchanged: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


class Reembedding:
    """Embeds what an encoder has not embedded yet.

    Args:
        library: Opened for that encoder with `reembedding`.
        reader: Reads and embeds files with that encoder.
    """

    def __init__(self, library: Library, reader: FileReader) -> None:
        self._library = library
        self._reader = reader
        self._failed: dict[Pending, LeftOut] = {}
        self._n_embedded = 0
        # Without windows to make, no clip is long enough to need some.
        self._beyond_s = reader.windowing.beyond_s if reader.windowing else math.inf

    def n_due(self) -> int:
        """Count the clips that lack a vector or windows."""
        return self._library.backlog.n_due(self._beyond_s)

    def run(self, *, on_clip: Callable[[], object] = lambda: None) -> Report:
        """Embed clips until there are none left but those that cannot be embedded.

        What is put by the old encoder meanwhile is embedded as well.

        Args:
            on_clip: Called when a clip is done with.

        Raises:
            OSError: The library cannot be written.
        """
        backlog = self._library.backlog
        n_unchanged = self._library.count() - self.n_due()
        while self._sweep(on_clip):
            pass
        lacking = set(backlog.page(0, self.n_due(), self._beyond_s))
        left_out = [failure for clip, failure in self._failed.items() if clip in lacking]
        return Report(self._n_embedded, n_unchanged, left_out)

    def _sweep(self, on_clip: Callable[[], object]) -> bool:
        """Go through all clips once; tell whether there was something to do."""
        has_worked = False
        after = 0
        while page := self._library.backlog.page(after, PAGE_CLIPS, self._beyond_s):
            after = page[-1].seq
            if clips := [clip for clip in page if clip not in self._failed]:
                has_worked = True
                self._embed(clips, on_clip)
        return has_worked

    def _embed(self, clips: Sequence[Pending], on_clip: Callable[[], object]) -> None:
        files = self._find(clips)
        waiting = iter(files.items())
        for batch in self._reader.embed(file.path for file in files.values()):
            vectors = []
            for item in batch:
                clip, file = next(waiting)
                if (embedded := self._checked(clip, file, item)) is not None:
                    whole = embedded.embedding.astype(np.float16)
                    vectors.append((clip, Embeddings(whole, embedded.windows)))
            self._n_embedded += len(self._library.backlog.add(vectors))
        if failed := [clip for clip in clips if clip in self._failed]:
            self._library.backlog.leave_out(failed)
        for _ in clips:
            on_clip()

    def _find(self, clips: Sequence[Pending]) -> dict[Pending, Hashed]:
        """Return the audio files of clips, where they are still what was added."""
        paths = {}
        for clip in clips:
            try:
                paths[clip] = self._library.open_audio(clip.id)
            except (ClipAudioMissingError, ClipUnknownError) as error:
                self._fail(clip, error.code, error.detail)
        files = {}
        for clip, file in zip(paths, self._reader.hash(paths.values()), strict=True):
            if isinstance(file, Unreadable):
                self._fail(clip, file.code, f"{file.path}: {file.reason}")
            elif file.sha256 != clip.sha256:
                self._fail(clip, "file_changed", f"{file.path} is not what was added")
            else:
                files[clip] = file
        return files

    def _checked(
        self, clip: Pending, file: Hashed, item: EmbeddedFile | Unreadable
    ) -> EmbeddedFile | None:
        if isinstance(item, Unreadable):
            self._fail(clip, item.code, f"{item.path}: {item.reason}")
        elif not file.is_unchanged():
            self._fail(clip, "file_changed", f"{file.path} was changed while it was read")
        elif not fits(item.embedding) or (item.windows and not fits(item.windows.embeddings)):
            self._fail(clip, "embedding_invalid", f"{file.path}: its embedding is not finite")
        else:
            return item
        return None

    def _fail(self, clip: Pending, code: str, reason: str) -> None:
        self._failed[clip] = LeftOut(clip.id, code, reason)
