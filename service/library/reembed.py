"""Embedding of a library by another encoder, while services with the old encoder keep running.

Clips that are long enough for windows and have none, and clips with a damaged embedding, are
embedded again as well.

The new vectors are added beside the old ones in small commits. A run that was stopped, in whatever
way, continues when it is run again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.catalog.reembed_queue import QueuedClip
from service.catalog.vectors import Embeddings
from service.difference import fits
from service.errors import ClipAudioMissingError, ClipDamagedError, ClipUnknownError
from service.library.file_reader import EmbeddedFile, FileReader, Hashed, Unreadable
from service.library.library import Library

PAGE_CLIPS = 64


@dataclass(frozen=True, slots=True)
class FailedClip:
    """A clip that could not be embedded.

    Attributes:
        clip_id: The clip.
        code: Stable code, as of the service's errors; `file_unreadable` if the system cannot read
            the file, `file_changed` if it is not the file that was added.
        reason: Description for people.
    """

    clip_id: str
    code: str
    reason: str


@dataclass(slots=True)
class ReembedReport:
    """Counts of the clips of one run.

    Attributes:
        embedded: Clips that were embedded.
        unchanged: Clips that had all vectors of this encoder before, intact.
        failed: Clips that could not be embedded.
    """

    embedded: int = 0
    unchanged: int = 0
    failed: list[FailedClip] = field(default_factory=list)


class Reembedder:
    """Embeds the clips that an encoder has not embedded yet, or of which embeddings are damaged.

    Args:
        library: The library, opened for that encoder with `reembedding`.
        reader: Reads and embeds files with that encoder.
    """

    def __init__(self, library: Library, reader: FileReader) -> None:
        self._library = library
        self._queue = library.reembed_queue
        self._reader = reader
        self._failed: dict[QueuedClip, FailedClip] = {}
        self._n_embedded = 0
        self._damaged = self._queue.damaged()
        # Without windowing, no clip is long enough for windows.
        self._beyond_s = reader.windowing.beyond_s if reader.windowing else math.inf

    def n_due(self) -> int:
        """Count the clips that lack a vector or windows, or of which an embedding is damaged."""
        return self._queue.n_due(self._beyond_s) + len(self._damaged)

    def run(self, *, on_clip: Callable[[], object] = lambda: None) -> ReembedReport:
        """Embed clips until only those are left that cannot be embedded.

        Clips that the old encoder adds meanwhile are embedded as well.

        Args:
            on_clip: Called after each clip.

        Raises:
            OSError: The library cannot be written.
        """
        n_unchanged = self._library.catalog.count() - self.n_due()
        for first in range(0, len(self._damaged), PAGE_CLIPS):
            self._embed(self._damaged[first : first + PAGE_CLIPS], on_clip)
        while self._embed_all(on_clip):
            pass
        lacking = {*self._queue.page(0, self.n_due(), self._beyond_s), *self._damaged}
        failed = [failure for clip, failure in self._failed.items() if clip in lacking]
        return ReembedReport(self._n_embedded, n_unchanged, failed)

    def _embed_all(self, on_clip: Callable[[], object]) -> bool:
        """Go through the queue once; tell whether it held any clip that had not failed before."""
        has_worked = False
        after = 0
        while page := self._queue.page(after, PAGE_CLIPS, self._beyond_s):
            after = page[-1].seq
            if clips := [clip for clip in page if clip not in self._failed]:
                has_worked = True
                self._embed(clips, on_clip)
        return has_worked

    def _embed(self, clips: Sequence[QueuedClip], on_clip: Callable[[], object]) -> None:
        files = self._files(clips)
        in_order = iter(files.items())
        for batch in self._reader.embed(file.path for file in files.values()):
            vectors = []
            for item in batch:
                clip, file = next(in_order)
                if (embedded := self._checked(clip, file, item)) is not None:
                    whole = embedded.embedding.astype(np.float16)
                    vectors.append((clip, Embeddings(whole, embedded.windows)))
            self._n_embedded += len(self._queue.add(vectors))
        if failed := [clip for clip in clips if clip in self._failed]:
            self._queue.mark_unembeddable(failed)
        for _ in clips:
            on_clip()

    def _files(self, clips: Sequence[QueuedClip]) -> dict[QueuedClip, Hashed]:
        """Return the audio files of clips, if they still are the files that were added."""
        paths = {}
        for clip in clips:
            try:
                paths[clip] = self._library.audio_path(clip.id)
            except (ClipAudioMissingError, ClipDamagedError, ClipUnknownError) as error:
                self._fail(clip, error.code, error.detail)
        files = {}
        for clip, file in zip(paths, self._reader.hash(paths.values()), strict=True):
            if isinstance(file, Unreadable):
                self._fail(clip, file.code, f"{file.path}: {file.reason}")
            elif file.sha256 != clip.sha256:
                self._fail(clip, "file_changed", f"{file.path} has changed since it was added")
            else:
                files[clip] = file
        return files

    def _checked(
        self, clip: QueuedClip, file: Hashed, item: EmbeddedFile | Unreadable
    ) -> EmbeddedFile | None:
        if isinstance(item, Unreadable):
            self._fail(clip, item.code, f"{item.path}: {item.reason}")
        elif not self._is_unchanged(file):
            self._fail(clip, "file_changed", f"{file.path} was changed while it was read")
        elif not fits(item.embedding) or (item.windows and not fits(item.windows.embeddings)):
            self._fail(clip, "embedding_invalid", f"{file.path}: its embedding is not finite")
        else:
            return item
        return None

    def _is_unchanged(self, file: Hashed) -> bool:
        """Tell whether a file has the bytes that were hashed.

        Its time alone does not tell: an upload of the same bytes replaces a stored file.
        """
        if file.is_unchanged():
            return True
        (now,) = self._reader.hash([file.path])
        return isinstance(now, Hashed) and now.sha256 == file.sha256

    def _fail(self, clip: QueuedClip, code: str, reason: str) -> None:
        self._failed[clip] = FailedClip(clip.id, code, reason)
