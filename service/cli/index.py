"""`minuend index`: a folder into the library, or the library anew by another encoder."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import FILE, FOLDER, given, json_option, settings_options
from service.cli.output import (
    UNREADABLE_EXIT_CODE,
    json_text,
    tell_unreadable,
    unreadable_bodies,
)
from service.cli.reembed import reembed_library

if TYPE_CHECKING:
    from service.library.folder_import import Report
    from service.settings import Settings


@click.command(
    "index",
    epilog="Example: minuend index ~/Recordings --metadata notes.csv. Another encoder for what is"
    " there: minuend index --reembed --bundle models/new",
)
@click.argument("folder", metavar="DIR", required=False, type=FOLDER)
@click.option("--copy", is_flag=True, help="Keep the audio in the library, not only its path.")
@click.option(
    "--metadata",
    "table",
    type=FILE,
    metavar="CSV",
    help="Table of metadata; its column 'file' is relative to DIR.",
)
@click.option(
    "--reembed",
    is_flag=True,
    help="Embed the clips of the library by this bundle's encoder, and index no folder.",
)
@click.option(
    "--drop-others",
    is_flag=True,
    help="With --reembed: then remove other encoders' embeddings of the clips that have new ones.",
)
@json_option
@settings_options("library", "bundle", "device")
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
    """Put the audio files below a folder into the library.

    Files are read in place: the library holds their path, their hash and their embedding. What it
    has is known by its content and not read again, so that a run that was stopped goes on where it
    was. Each clip gets its 'name' and 'folder' as metadata, and the columns of its line in CSV.

    With --reembed and without DIR, the clips are embedded by the encoder of another bundle, beside
    the embeddings they have, while services on the old bundle go on. A run that was stopped goes
    on where it was. Long clips that have no windows are embedded as well, also if the encoder is
    the same. Where only the towers differ, the search index alone is made anew. Clips without
    audio, or whose audio is gone, keep their place; if the encoder is another, no search finds
    them.

    Exit code 3 says that some files could not be read; they are listed at the end.
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
            _tell(indexed, settings.library)
        is_complete = not indexed.report.unreadable
    if not is_complete:
        click.get_current_context().exit(UNREADABLE_EXIT_CODE)


@dataclass(frozen=True, slots=True)
class Indexed:
    """What indexing a folder did.

    Attributes:
        report: What became of the files.
        rows_without_file: Files that the table names and that are not there.
        n_clips: Clips in the library now.
    """

    report: Report
    rows_without_file: list[str]
    n_clips: int

    def body(self) -> dict[str, object]:
        """Return the same for JSON."""
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
    """Put the audio files below a folder into the library, with a progress bar on a terminal.

    Args:
        settings: Where library and bundle are.
        folder: The folder.
        table: CSV file of metadata, see `service.library.folder`.
        copy: Whether the library keeps a copy of the audio.

    Raises:
        StartupError: The library, the bundle or the device cannot be had.
        MetadataInvalidError: The table cannot be understood.
        OSError: The table cannot be read or the library not written.
    """
    from tqdm import tqdm

    from service.library.file_reader import FileReader
    from service.library.folder import find_audio, read_metadata
    from service.library.folder_import import Ingest
    from service.library.library import Library
    from service.library.upload import library_windowing
    from service.services import audio_limits, open_bundle, open_encoder, open_space

    rows = {} if table is None else read_metadata(table)
    bundle = open_bundle(settings)
    encoder = open_encoder(bundle, settings)
    files, unlisted = find_audio(folder, skip=settings.library)
    there = {file.relative_to(folder).as_posix() for file in files}
    space, precision = open_space(bundle, settings), encoder.precision
    limits, windowing = audio_limits(settings), library_windowing(settings.window_s)
    with (
        closing(Library.open(settings.library, space=space, precision=precision)) as library,
        FileReader(encoder, limits=limits, windowing=windowing) as reader,
        tqdm(total=len(files), unit="file", disable=None) as bar,
    ):
        report = Ingest(folder, library, reader, table=rows, copy=copy).run(
            files, on_file=bar.update
        )
        library.save_snapshot()
        n_clips = library.count()
    report.unreadable[:0] = unlisted
    return Indexed(report, [row for row in rows if row not in there], n_clips)


def _tell(indexed: Indexed, library: Path) -> None:
    report, missing = indexed.report, indexed.rows_without_file
    click.echo(
        f"{report.added} added, {report.updated} updated, {report.unchanged} already there,"
        f" {report.duplicates} the same as another file; {library} has {indexed.n_clips} clips"
    )
    if missing:
        click.echo(f"{len(missing)} rows of the table have no file: {missing[0]} ...", err=True)
    tell_unreadable(report.unreadable)
