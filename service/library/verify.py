"""Check of a whole library, in small steps that can be stopped and continued.

Every record, vector and window is compared with its checksum, every audio file with its digest, and
the structure of the catalogue and the snapshot of the index are checked. Damaged audio is marked in
the catalogue, so that no process serves it. `minuend verify` and the scrub of the service run it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from service.catalog.changes import Version, is_known, read_version
from service.catalog.damage import PARTS, Part, clip_names
from service.catalog.database import Database
from service.catalog.integrity import (
    SMALL_TABLES,
    Table,
    check_rows,
    count_audio,
    count_rows,
    find_structural_faults,
    is_named,
    mark_audio,
)
from service.catalog.schema import bring_up_to_date
from service.catalog.stored_names import stored_files
from service.clips import ClipRecord
from service.concurrency.durable import atomic_write
from service.concurrency.locks import file_lock
from service.errors import LibraryDamagedError
from service.index.snapshot import find_fault
from service.library.audio_check import find_audio_fault
from service.library.opening import CATALOG, LOCK, VERIFY_PROGRESS, prepare_folder

KEEP_EVERY_S = 15.0
"""Time between two writes of the progress [s]."""
BATCH_ROWS = 1024
BATCH_FILES = 8
MOST_FAULTS = 1000
"""Faults that are listed; all are counted."""
STEPS = ("structure", "clips", "vectors", "windows", "audio", "snapshot", "orphans")

_LOGGER = logging.getLogger(__name__)
_PARTS: dict[Table, Part] = {"clips": "record", "vectors": "vector", "windows": "window"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A damaged part of a library.

    Attributes:
        part: Its kind.
        name: Id of the clip, path of the file, or name of the table.
        fault: What is wrong.
    """

    part: Part
    name: str
    fault: str


@dataclass(slots=True)
class Progress:
    """Progress and findings of a check; it can be kept in a file.

    Attributes:
        share: Share of rows and files that is checked, drawn at random.
        started_at: Time of the start, ISO 8601 in UTC.
        completed_at: Time when a check was complete for the last time; empty if it never was.
        version: Revision and token of the catalogue when this was written.
        step: Index in `STEPS` of the present step.
        after: Row that the next page of this step follows.
        checked: Number of parts that were checked, by their kind.
        damaged: Number of damaged parts, by their kind.
        faults: The first of them.
        orphans: Audio files that no clip names.
    """

    share: float = 1.0
    started_at: str = ""
    completed_at: str = ""
    version: tuple[int, int] = (0, 0)
    step: int = 0
    after: int = 0
    checked: dict[Part, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    damaged: dict[Part, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    faults: list[Fault] = field(default_factory=list)
    orphans: int = 0

    @property
    def is_complete(self) -> bool:
        """True after the last step."""
        return self.step >= len(STEPS)

    @property
    def n_damaged(self) -> int:
        """Number of damaged parts."""
        return sum(self.damaged.values())

    def add(self, fault: Fault) -> None:
        """Count a damaged part."""
        self.damaged[fault.part] += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


class Verifier:
    """Checks one library.

    Args:
        library: Folder of the library.
        database: Its catalogue, up to date.
        share: Share of rows and files that is checked, drawn at random, above 0 to 1.
        state: File in which progress is kept.
        brief: Leave out what cannot be done in small steps: the structure of the tables of
            embeddings, and the search for audio files that no clip names. A sample leaves it out as
            well.

    Attributes:
        progress: How far the check has come; set it to that of `load` to continue.
    """

    def __init__(
        self,
        library: Path,
        database: Database,
        *,
        state: Path,
        share: float = 1.0,
        brief: bool = False,
    ) -> None:
        self._library = library
        self._database = database
        self._state = state
        self._brief = brief or share < 1
        self.progress = Progress(share=share, started_at=now())

    def load(self) -> Progress | None:
        """Return the kept progress of a check of the same share, if there is any.

        Progress in another copy of the catalogue, for example before a restore, does not count.
        """
        try:
            kept = orjson.loads(self._state.read_bytes())
            faults = [Fault(**fault) for fault in kept.pop("faults")]
            progress = Progress(**kept, faults=faults)
            with self._database.transaction("read") as db:
                is_ours = is_known(db, Version(*progress.version))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _LOGGER.warning("%s is not used: %s", self._state, error)
            return None
        return progress if is_ours and progress.share == self.progress.share else None

    def close(self) -> None:
        """Close the catalogue; only for the result of `open_verifier`."""
        self._database.close()

    def keep(self) -> None:
        """Write the progress to its file.

        Raises:
            OSError: It cannot be written.
        """
        with self._database.transaction("read") as db:
            revision, token = read_version(db)
        self.progress.version = revision, token
        with atomic_write(self._state) as file:
            file.write(orjson.dumps(asdict(self.progress)))

    def forget(self) -> None:
        """Remove the file of the progress."""
        self._state.unlink(missing_ok=True)

    def count(self) -> int:
        """Count the parts to check, of which `run` yields the numbers."""
        n_parts = count_rows(self._database) + count_audio(self._database)
        return round(self.progress.share * n_parts) + len(STEPS)

    def run(self) -> Iterator[int]:
        """Check the library; yields after each batch how many parts were in it.

        Raises:
            OSError: The progress cannot be written.
        """
        kept_at = time.monotonic()
        while not self.progress.is_complete:
            step = STEPS[self.progress.step]
            try:
                n_checked, after = self._check(step)
                if after is not None and after <= self.progress.after:
                    raise LibraryDamagedError(f"the rows of {step} are not in their order")
            except LibraryDamagedError as error:
                self.progress.add(Fault("structure", step, error.detail))
                n_checked, after = 1, None
            if after is None:
                self.progress.step, self.progress.after = self.progress.step + 1, 0
                n_checked += 1
            else:
                self.progress.after = after
            if time.monotonic() - kept_at >= KEEP_EVERY_S:
                self.keep()
                kept_at = time.monotonic()
            yield n_checked

    def _check(self, step: str) -> tuple[int, int | None]:
        """Check a batch; return how many parts it had, and the row of the last one if not all."""
        match step:
            case "clips" | "vectors" | "windows":
                return self._check_rows(step)
            case "audio":
                return self._check_audio()
            case "structure":
                tables = SMALL_TABLES if self._brief else ()
                for fault in find_structural_faults(self._database, tables=tables):
                    self.progress.add(Fault("structure", CATALOG, fault))
            case "snapshot":
                if damage := find_fault(self._library / "index"):
                    self.progress.add(Fault("snapshot", "index", damage))
            case "orphans" if not self._brief:
                self.progress.orphans = self._count_orphans()
        return 0, None

    def _check_rows(self, table: Table) -> tuple[int, int | None]:
        progress, part = self.progress, _PARTS[table]
        page = check_rows(self._database, table, progress.after, BATCH_ROWS, share=progress.share)
        for name in clip_names(self._database, page.damaged):
            progress.add(Fault(part, name, "its checksum differs"))
        progress.checked[part] += page.n_checked
        return page.n_checked, page.last

    def _check_audio(self) -> tuple[int, int | None]:
        progress = self.progress
        page = check_rows(
            self._database, "clips", progress.after, BATCH_FILES, share=progress.share
        )
        files = [record for record in page.records if record.path is not None]
        for record in files:
            if fault := self._find_audio_fault(record, self._library / str(record.path)):
                progress.add(Fault("audio", str(record.path), fault))
        progress.checked["audio"] += len(files)
        return len(files), page.last

    def _find_audio_fault(self, record: ClipRecord, path: Path) -> str | None:
        fault = find_audio_fault(record, path)
        if fault is None:
            mark_audio(self._database, str(record.path), None)
            return None
        # Checked again while no writer replaces the file.
        with file_lock(self._library / LOCK):
            if not is_named(self._database, record):
                return None
            fault = find_audio_fault(record, path)
            mark_audio(self._database, str(record.path), fault if path.is_file() else None)
        return fault

    def _count_orphans(self) -> int:
        named = "SELECT 1 FROM clips WHERE source = 'stored' AND path = ?"
        return sum(not self._database.query(named, name) for name in stored_files(self._library))


def open_verifier(library: Path, *, share: float = 1.0) -> Verifier:
    """Open a library to check it; no encoder is needed. Its progress is kept in `verify.json`.

    Args:
        library: Folder of the library.
        share: Share of rows and files that is checked, drawn at random, above 0 to 1.

    Raises:
        LibraryError: There is no library, or its catalogue or the log of it cannot be read. Nothing
            was changed.
    """
    prepare_folder(library)
    file = library / CATALOG
    with file_lock(library / LOCK):
        prepare_folder(library)  # again, as another process may have changed the folder before
        database = Database(file, schema="")
        try:
            bring_up_to_date(database, file)
        except BaseException:
            database.close()
            raise
    return Verifier(library, database, state=library / VERIFY_PROGRESS, share=share)


def now() -> str:
    """Return the present time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
