"""Clips of audio files that no clip names, after a catalogue was lost or replaced by an older one.

Opening the library has moved such files into its quarantine. Each of them that can be embedded
becomes a clip and goes back to its place. Names and metadata were in the catalogue and are lost:
the id of a clip is the first digits of its file's SHA-256, as for uploads without an id.

A run that was stopped, in whatever way, continues when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.catalog.quarantine import Quarantine
from service.clips import ClipRecord, NewClip, StoredAudio
from service.concurrency.durable import sync_directory
from service.errors import ClientError, ClipUnknownError
from service.library.file_reader import EmbeddedFile, FileReader, Unreadable
from service.library.library import Library
from service.library.upload import EXTENSIONS, ID_DIGITS


@dataclass(slots=True)
class AdoptionReport:
    """Counts of the files of a quarantine.

    Attributes:
        adopted: New clips.
        already: Files whose content a clip has; they stay in the quarantine.
        unreadable: Files that cannot be made clips, with the reasons; they stay there, too.
    """

    adopted: int = 0
    already: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


class Adopter:
    """Makes clips of the files in the quarantine of a library.

    Args:
        path: Folder of the library.
        library: The library, open.
        reader: Reads and embeds the files.
    """

    def __init__(self, path: Path, library: Library, reader: FileReader) -> None:
        self._library = library
        self._reader = reader
        self._folders = Quarantine(path).folders()
        self._digests: dict[Path, str] = {}
        self._report = AdoptionReport()

    def n_files(self) -> int:
        """Count the files in the quarantine."""
        return sum(1 for folder in self._folders for _ in folder.files())

    def run(self, *, on_file: Callable[[], object] = lambda: None) -> AdoptionReport:
        """Make a clip of each file that can be embedded and whose content no clip has.

        Args:
            on_file: Called after each file.

        Raises:
            OSError: The library cannot be written.
        """
        for batch in self._reader.embed(self._new_files(on_file)):
            self._put([item for item in batch if isinstance(item, EmbeddedFile)])
            self._report.unreadable += [item for item in batch if isinstance(item, Unreadable)]
            for _ in batch:
                on_file()
        for folder in self._folders:
            folder.remove_empty()
        return self._report

    def _new_files(self, on_file: Callable[[], object]) -> Iterator[Path]:
        """Yield the files that have to be embedded, each content once; finish the others."""
        seen = set[str]()
        files = (path for folder in self._folders for path in folder.files())
        for file in self._reader.hash(files):
            if isinstance(file, Unreadable):
                self._report.unreadable.append(file)
            elif file.sha256 != file.path.name[: len(file.sha256)]:
                reason = f"it is damaged: its name is not its sha256, {file.sha256}"
                self._report.unreadable.append(Unreadable(file.path, "file_changed", reason))
            elif file.sha256 in seen or self._has(file.sha256):
                self._report.already += 1
            else:
                seen.add(file.sha256)
                self._digests[file.path] = file.sha256
                yield file.path
                continue
            on_file()

    def _put(self, files: Sequence[EmbeddedFile]) -> None:
        """Make clips of files, one by one if that cannot be done together."""
        if not files:
            return
        try:
            self._library.writer.put_many([self._clip(file) for file in files])
        except ClientError as error:
            if len(files) > 1:
                for file in files:
                    self._put([file])
            else:
                failed = Unreadable(files[0].path, error.code, error.detail)
                self._report.unreadable.append(failed)
            return
        self._report.adopted += len(files)
        for file in files:
            file.path.unlink()  # the clip has this file under its name in the library
        for folder in {file.path.parent for file in files}:
            sync_directory(folder)

    def _clip(self, file: EmbeddedFile) -> NewClip:
        digest = self._digests[file.path]
        extension = EXTENSIONS.get(file.info.media_type or "", "")
        return NewClip(
            id=digest[:ID_DIGITS] if self._clip_of(digest) is None else digest,
            embedding=file.embedding,
            audio=StoredAudio(file.path, digest, extension, linked=True),
            info=file.info,
            windows=file.windows,
        )

    def _has(self, digest: str) -> bool:
        record = self._clip_of(digest)
        is_same = record is not None and record.sha256 == digest
        return is_same or bool(self._library.catalog.ids_by_content(digest))

    def _clip_of(self, digest: str) -> ClipRecord | None:
        """Return the clip with the id of a digest, whatever its content is."""
        try:
            return self._library.catalog.get(digest[:ID_DIGITS])
        except ClipUnknownError:
            return None
