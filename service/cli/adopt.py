"""`minuend adopt`: make clips of stored audio files that no clip names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.options import json_option, settings_options
from service.cli.output import UNREADABLE_EXIT_CODE, json_text, print_unreadable, unreadable_bodies

if TYPE_CHECKING:
    from service.library.adoption import AdoptionReport
    from service.settings import Settings


@click.command("adopt", epilog="Example: minuend adopt --library sounds")
@json_option
@settings_options("library", "bundle", "device")
def command(*, as_json: bool, settings: Settings) -> None:
    """Make clips of stored audio files that no clip of the library names.

    Use it if the catalogue of a library is lost, or if an older one was put back. The files are
    embedded again. Names, metadata and ids were in the catalogue: a new id is the first digits of
    the SHA-256 of the file, as for uploads without an id. Audio that was read in place has to be
    indexed again. A run that was stopped continues where it was.

    Exit code 3 means that some files are damaged or could not be read; they are listed, and stay
    in the quarantine of the library.
    """
    report, n_clips = _adopt(settings)
    if as_json:
        body = {"adopted": report.adopted, "already": report.already, "clips": n_clips}
        click.echo(json_text(body | {"unreadable": unreadable_bodies(report.unreadable)}))
    else:
        click.echo(
            f"{report.adopted} sounds adopted, {report.already} already there;"
            f" {settings.library} has {n_clips} clips"
        )
        print_unreadable(report.unreadable)
    if report.unreadable:
        click.get_current_context().exit(UNREADABLE_EXIT_CODE)


def _adopt(settings: Settings) -> tuple[AdoptionReport, int]:
    """Adopt the files, with a progress bar on a terminal; return also the number of clips."""
    from tqdm import tqdm

    from service.library.adoption import Adopter
    from service.library.opening import Creation
    from service.services import open_library_and_reader

    create = Creation(if_empty=False, if_lost=True)
    with open_library_and_reader(settings, create=create) as (library, reader):
        adopter = Adopter(settings.library, library, reader)
        with tqdm(total=adopter.n_files(), unit="file", disable=None) as bar:
            report = adopter.run(on_file=bar.update)
        library.index.save()
        return report, library.catalog.count()
