"""Import of a folder into a library: each content once, in small commits.

Content that the library already has is recognised by the SHA-256 of the file and is not decoded
again, unless its clip is found to be damaged. A run that was stopped, in whatever way, therefore
continues when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.clips import AudioInfo, ClipRecord, Metadata, NewClip, ReferencedAudio, StoredAudio
from service.errors import ClientError, ClipDamagedError, ClipUnknownError
from service.library.file_reader import EmbeddedFile, FileReader, Hashed, Unreadable
from service.library.library import Library
from service.library.upload import EXTENSIONS, ID_DIGITS


@dataclass(slots=True)
class ImportReport:
    """Counts of the files of a folder; every file counts once.

    Attributes:
        added: New clips.
        updated: Clips that the library had, and whose metadata or path changed.
        unchanged: Clips that the library had, without a change.
        duplicates: Files with the same content as an earlier file.
        unreadable: Files that are not in the library, with the reasons.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


class FolderImporter:
    """Imports the audio files of one folder into a library.

    The id of a clip is the first digits of the SHA-256 of its file, as for uploads. Its metadata
    are its file `name`, its `folder` relative to the imported one, and its row of the table.

    Args:
        folder: The folder.
        library: Receives the clips.
        reader: Reads and embeds the files.
        table: Further metadata by path relative to the folder, see `service.library.folder`.
        copy: Whether the library keeps a copy of the audio; otherwise it is read in place.
    """

    def __init__(
        self,
        folder: Path,
        library: Library,
        reader: FileReader,
        *,
        table: Mapping[str, Metadata] | None = None,
        copy: bool = False,
    ) -> None:
        self._folder = folder
        self._library = library
        self._reader = reader
        self._table = table or {}
        self._copy = copy
        self._report = ImportReport()
        self._pending: dict[Path, Hashed] = {}
        self._seen: set[str] = set()
        self._duplicates: list[Hashed] = []
        self._failed: dict[str, Unreadable] = {}

    def run(
        self, files: Iterable[Path], *, on_file: Callable[[], object] = lambda: None
    ) -> ImportReport:
        """Import files of the folder.

        Args:
            files: The files, as `find_audio` finds them.
            on_file: Called after each file.

        Raises:
            OSError: The library cannot be written.
        """
        for batch in self._reader.embed(self._new_files(files, on_file)):
            self._add(batch)
            for _ in batch:
                on_file()
        for file in self._duplicates:
            if (failure := self._failed.get(file.sha256)) is None:
                self._report.duplicates += 1
            else:
                self._report.unreadable.append(replace(failure, path=file.path))
        return self._report

    def _new_files(self, files: Iterable[Path], on_file: Callable[[], object]) -> Iterator[Path]:
        """Yield the files that have to be embedded; finish the other files."""
        for file in self._reader.hash(files):
            match file:
                case Hashed(sha256=sha256) if sha256 not in self._seen:
                    self._seen.add(sha256)
                    if not self._is_updated(file, self._library.catalog.ids_by_content(sha256)):
                        self._pending[file.path] = file
                        yield file.path
                        continue
                case Hashed():
                    self._duplicates.append(file)
                case Unreadable():
                    self._report.unreadable.append(file)
            on_file()

    def _add(self, batch: Sequence[EmbeddedFile | Unreadable]) -> None:
        clips: list[tuple[Hashed, NewClip]] = []
        for item in batch:
            file = self._pending.pop(item.path)
            if isinstance(item, Unreadable):
                self._fail(file, item)
            elif not file.is_unchanged():
                reason = "it was changed while it was read"
                self._fail(file, Unreadable(file.path, "file_unreadable", reason))
            else:
                clip_id = file.sha256[:ID_DIGITS]
                clip = NewClip(
                    id=clip_id,
                    embedding=item.embedding,
                    audio=self._audio(file, item.info, copy=self._copy),
                    info=item.info,
                    metadata=self._existing_metadata(clip_id) | self._metadata(file.path),
                    windows=item.windows,
                )
                clips.append((file, clip))
        self._report.added += self._put(clips)

    def _existing_metadata(self, clip_id: str) -> Metadata:
        """Return the metadata of a clip that was embedded by another encoder only."""
        try:
            return self._library.catalog.get(clip_id).metadata
        except (ClipDamagedError, ClipUnknownError):
            return {}

    def _is_updated(self, file: Hashed, ids: Sequence[str]) -> bool:
        """Update the clip of a file; tell whether the library has one that is not damaged."""
        try:
            if ids:
                self._update(file, ids)
        except ClipDamagedError:
            return False
        return bool(ids)

    def _update(self, file: Hashed, ids: Sequence[str]) -> None:
        """Update the metadata, and the path of the audio, of a clip that the library has."""
        catalog, clip_id = self._library.catalog, file.sha256[:ID_DIGITS]
        record = catalog.get(clip_id) if clip_id in ids else None
        if record is None or not (change := self._change(file, record)):
            self._report.unchanged += 1
        elif catalog.get(clip_id) != record:  # replaced while its embeddings were read
            self._update(file, catalog.ids_by_content(file.sha256))
        else:
            self._report.updated += self._put([(file, change)])

    def _change(self, file: Hashed, record: ClipRecord) -> NewClip | None:
        """Return the clip as it should be, or None if its record need not change."""
        in_place = record.source == "referenced"
        is_missing = in_place and record.path is not None and not Path(record.path).exists()
        metadata = record.metadata
        if file.path.relative_to(self._folder).as_posix() in self._table:
            metadata = self._metadata(file.path)
        elif is_missing:
            metadata = {**metadata, **self._metadata(file.path)}
        if metadata == record.metadata and not is_missing and not (in_place and self._copy):
            return None
        info = AudioInfo(
            record.media_type, record.duration_s, record.sample_rate_hz, record.channels
        )
        if in_place and not is_missing and record.path is not None:
            file = replace(file, path=Path(record.path))
        return NewClip(
            id=record.id,
            embedding=self._library.catalog.embedding(record.id),
            audio=self._audio(file, info, copy=self._copy or not in_place),
            info=info,
            metadata=metadata,
            windows=self._library.catalog.windows(record.id),
        )

    def _put(self, clips: Sequence[tuple[Hashed, NewClip]]) -> int:
        """Put clips, one by one if they cannot be put together; return how many were put."""
        if not clips:
            return 0
        try:
            self._library.writer.put_many([clip for _, clip in clips])
        except (ClientError, OSError) as error:
            if len(clips) > 1:
                return sum(self._put([clip]) for clip in clips)
            ((file, _),) = clips
            self._fail(file, _unreadable(file.path, error))
            return 0
        return len(clips)

    def _fail(self, file: Hashed, failure: Unreadable) -> None:
        self._failed[file.sha256] = failure
        self._report.unreadable.append(failure)

    def _audio(self, file: Hashed, info: AudioInfo, *, copy: bool) -> StoredAudio | ReferencedAudio:
        if copy:
            return StoredAudio(file.path, file.sha256, EXTENSIONS.get(info.media_type or "", ""))
        return ReferencedAudio(file.path, file.sha256, file.size_bytes)

    def _metadata(self, path: Path) -> Metadata:
        relative = path.relative_to(self._folder)
        row = self._table.get(relative.as_posix(), {})
        return {"name": relative.name, "folder": relative.parent.as_posix(), **row}


def _unreadable(path: Path, error: ClientError | OSError) -> Unreadable:
    """Describe an error of a file; raise it again if the disk of the library is the cause."""
    if isinstance(error, ClientError):
        return Unreadable(path, error.code, error.detail)
    if error.errno is not None and error.filename != str(path):
        raise error
    return Unreadable(path, "file_unreadable", error.strerror or str(error))
