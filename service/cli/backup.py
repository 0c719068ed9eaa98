"""`minuend backup` and `minuend restore`: write a library to one file, and restore it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import ANY_PATH, FILE, json_option, settings_options
from service.cli.output import json_text

if TYPE_CHECKING:
    from service.library.backup import Summary
    from service.settings import Settings


@click.command("backup", epilog="Example: minuend backup minuend.tar --library sounds")
@click.argument("file", metavar="FILE", type=ANY_PATH)
@json_option
@settings_options("library")
def backup(*, file: Path, as_json: bool, settings: Settings) -> None:
    """Write the library to FILE, also while a service uses it.

    The file has one consistent state of the library. Of audio that is read in place, it has only
    the paths.
    """
    from tqdm import tqdm

    from service.library.backup import back_up

    with tqdm(unit="B", unit_scale=True, disable=None) as bar:
        summary = back_up(settings.library, file, on_bytes=bar.update)
    _print_summary(summary, file, f"{settings.library} is in {file}", as_json=as_json)


@click.command("restore", epilog="Example: minuend restore minuend.tar --library sounds")
@click.argument("file", metavar="FILE", type=FILE)
@json_option
@settings_options("library")
def restore(*, file: Path, as_json: bool, settings: Settings) -> None:
    """Restore a library from FILE, a backup, and verify every byte.

    The folder of the library must be empty, or must not exist, or be that of a library that has
    lost its catalogue. No service starts there until a restore has ended. Run an interrupted one
    again.
    """
    from tqdm import tqdm

    from service.library.restore import restore as restore_library

    with tqdm(unit="B", unit_scale=True, disable=None) as bar:
        summary = restore_library(file, settings.library, on_bytes=bar.update, keys=settings.keys)
    _print_summary(summary, file, f"{file} is restored to {settings.library}", as_json=as_json)


def _print_summary(summary: Summary, file: Path, done: str, *, as_json: bool) -> None:
    from service.bundle.files import hash_file

    sha256 = hash_file(file).sha256
    if as_json:
        body = {"file": str(file), "sha256": sha256}
        click.echo(
            json_text(body | {"audio_files": summary.files, "size_bytes": summary.size_bytes})
        )
    else:
        click.echo(f"{done}: {summary.files} audio files; sha256 of the backup {sha256}")
