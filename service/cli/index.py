"""`minuend index`: add a folder to the library, or embed the library with another encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import FILE, FOLDER, given, json_option, settings_options
from service.cli.output import UNREADABLE_EXIT_CODE, json_text, print_unreadable, unreadable_bodies
from service.cli.reembed import reembed_library

if TYPE_CHECKING:
    from service.library.folder_import import ImportReport
    from service.settings import Settings


@click.command(
    "index",
    epilog="Example: minuend index ~/Recordings --metadata notes.csv. Change of the encoder:"
    " minuend index --reembed --bundle models/new",
)
@click.argument("folder", metavar="DIR", required=False, type=FOLDER)
@click.option("--copy", is_flag=True, help="Store the audio in the library, not only its path.")
@click.option(
    "--metadata",
    "table",
    type=FILE,
    metavar="CSV",
    help="Table of metadata; the paths in its column 'file' are relative to DIR.",
)
@click.option(
    "--reembed",
    is_flag=True,
    help="Embed the clips of the library with the encoder of this bundle; no DIR is indexed.",
)
@click.option(
    "--drop-others",
    is_flag=True,
    help="With --reembed: then remove embeddings of other encoders if a clip has a new one.",
)
@json_option
@settings_options("library", "create", "bundle", "device")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    folder: Path | None,
    copy: bool,
    table: Path | None,
    reembed: bool,
    drop_others: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Add the audio files below the folder DIR to the library.

    Files are read in place: the library has their path, their hash and their embedding. Files that
    are in the library already are recognised by their content and skipped, so that a run that was
    stopped continues where it was. The metadata of a clip are its 'name', its 'folder', and the
    columns of its row in CSV.

    With --reembed and without DIR, the clips get embeddings of another bundle in addition to those
    that they have. Services with the old bundle continue to run. A run that was stopped continues
    where it was. Long clips without windows are embedded also if the encoder is the same. If only
    the towers differ, only the search index is rebuilt. Clips without audio stay in the library;
    with another encoder, no search finds them.

    Exit code 3 means that some files could not be read; they are listed at the end.
    """
    if reembed:
        if folder is not None or given(["copy", "table"]):
            raise click.UsageError("--reembed takes neither DIR nor --copy nor --metadata")
        is_complete = reembed_library(settings, as_json=as_json, drop_others=drop_others)
    elif folder is None:
        raise click.UsageError("give the folder DIR, or --reembed")
    elif drop_others:
        raise click.UsageError("--drop-others needs --reembed")
    else:
        indexed = index_folder(settings, folder, table, copy=copy)
        if as_json:
            click.echo(json_text(indexed.body()))
        else:
            _print_result(indexed, settings.library)
        is_complete = not indexed.report.unreadable
    if not is_complete:
        click.get_current_context().exit(UNREADABLE_EXIT_CODE)


@dataclass(frozen=True, slots=True)
class Indexed:
    """Result of indexing a folder.

    Attributes:
        report: Result for the files.
        rows_without_file: Files of the table that do not exist.
        n_clips: Clips in the library.
    """

    report: ImportReport
    rows_without_file: list[str]
    n_clips: int

    def body(self) -> dict[str, object]:
        """Return the result as JSON."""
        return {
            "added": self.report.added,
            "updated": self.report.updated,
            "unchanged": self.report.unchanged,
            "duplicates": self.report.duplicates,
            "unreadable": unreadable_bodies(self.report.unreadable),
            "rows_without_file": self.rows_without_file,
            "clips": self.n_clips,
        }


def index_folder(
    settings: Settings, folder: Path, table: Path | None, *, copy: bool = False
) -> Indexed:
    """Add the audio files below a folder to the library, with a progress bar on a terminal.

    Args:
        settings: Paths of library and bundle.
        folder: The folder.
        table: CSV file of metadata, see `service.library.folder`.
        copy: Whether the library stores a copy of the audio.

    Raises:
        StartupError: The library, the bundle or the device cannot be used.
        MetadataInvalidError: The table is invalid.
        OSError: The table cannot be read, or the library cannot be written.
    """
    from tqdm import tqdm

    from service.library.folder import find_audio, read_metadata
    from service.library.folder_import import FolderImporter
    from service.services import library_creation, open_library_and_reader

    rows = {} if table is None else read_metadata(table)
    files, unlisted = find_audio(folder, skip=settings.library)
    found = {file.relative_to(folder).as_posix() for file in files}
    with (
        open_library_and_reader(settings, create=library_creation(settings)) as (library, reader),
        tqdm(total=len(files), unit="file", disable=None) as bar,
    ):
        report = FolderImporter(folder, library, reader, table=rows, copy=copy).run(
            files, on_file=bar.update
        )
        library.index.save()
        n_clips = library.catalog.count()
    report.unreadable[:0] = unlisted
    return Indexed(report, [row for row in rows if row not in found], n_clips)


def _print_result(indexed: Indexed, library: Path) -> None:
    report, missing = indexed.report, indexed.rows_without_file
    click.echo(
        f"{report.added} added, {report.updated} updated, {report.unchanged} already there,"
        f" {report.duplicates} the same as another file; {library} has {indexed.n_clips} clips"
    )
    if missing:
        click.echo(f"{len(missing)} rows of the table have no file: {missing[0]} ...", err=True)
    print_unreadable(report.unreadable)
