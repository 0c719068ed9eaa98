"""`minuend clean`: delete quarantined audio files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.options import FloatRange, json_option, settings_options
from service.cli.output import json_text

if TYPE_CHECKING:
    from service.settings import Settings


@click.command("clean", epilog="Example: minuend clean --library sounds --older-than 30")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=FloatRange(0, 36_500),
    default=0,
    show_default=True,
    help="Only files that were moved into the quarantine at least so long ago.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@settings_options("library")
def command(*, older_than: float, yes: bool, as_json: bool, settings: Settings) -> None:
    """Delete the audio files in the quarantine of the library.

    A start moves audio files that no clip names there; nothing else deletes them. They may be the
    only copies of sounds if the catalogue is older than they are: `minuend adopt` makes clips of
    them. The files are listed before they are deleted. With --json, they are deleted only with
    --yes.
    """
    from datetime import timedelta

    from service.library.cleaning import delete, quarantined

    found = quarantined(settings.library, older_than=timedelta(days=older_than))
    sizes = [folder.size() for folder in found]
    n_files, n_bytes = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    if not as_json:
        for folder, (n, size) in zip(found, sizes, strict=True):
            click.echo(f"{folder.path}: {n} files, {size:,} bytes")
    if found and not yes and not as_json:
        click.confirm(f"Delete these {n_files} files, {n_bytes:,} bytes?", abort=True)
    is_deleted = bool(found) and (yes or not as_json)
    n_returned = delete(settings.library, found) if is_deleted else 0
    if as_json:
        folders = [
            {
                "path": str(folder.path),
                "moved_at": folder.moved_at.isoformat(),
                "files": n,
                "bytes": s,
            }
            for folder, (n, s) in zip(found, sizes, strict=True)
        ]
        body = {"deleted": is_deleted, "returned": n_returned, "folders": folders}
        click.echo(json_text({"files": n_files, "bytes": n_bytes} | body))
    elif not found:
        click.echo(f"the quarantine of {settings.library} has nothing to delete")
    else:
        click.echo(f"deleted; {n_returned} files of clips were moved back to audio/")
