"""`minuend embed`: write embeddings of files, without a library."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import json_option, settings_options
from service.cli.output import UNREADABLE_EXIT_CODE, json_text, print_unreadable, unreadable_bodies

if TYPE_CHECKING:
    from service.library.file_reader import Unreadable
    from service.settings import Settings

SUFFIXES = (".npz", ".parquet")


@click.command("embed", epilog="Example: minuend embed ~/Recordings --out recordings.npz")
@click.argument(
    "paths", metavar="FILES|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="File to write: .npz or .parquet.",
)
@json_option
@settings_options("bundle", "device")
def command(*, paths: tuple[Path, ...], out: Path, as_json: bool, settings: Settings) -> None:
    """Write the embeddings of audio files to one file.

    An .npz has the arrays 'names', 'embeddings' (float32) and 'fingerprint'; a .parquet has the
    columns name, embedding and fingerprint. Of a folder, all audio files below it are embedded.
    Names are paths as given. The fingerprint identifies the encoder.

    Exit code 3 means that some files could not be read; the embeddings of the others are written.
    """
    import numpy as np
    from tqdm import tqdm

    from service.cli.vector_files import write_vectors
    from service.library.file_reader import FileReader, Unreadable
    from service.loading import open_bundle, open_encoder
    from service.services import audio_limits

    _check_out(out)
    encoder = open_encoder(open_bundle(settings), settings, batched=True)
    files, failed = _list_files(paths)
    embeddings = np.empty((len(files), encoder.dim), np.float32)
    names: list[str] = []
    with (
        FileReader(encoder, limits=audio_limits(settings)) as reader,
        tqdm(total=len(files), unit="file", disable=None) as bar,
    ):
        for item in (item for batch in reader.embed(files) for item in batch):
            bar.update()
            if isinstance(item, Unreadable):
                failed.append(item)
            else:
                embeddings[len(names)] = item.embedding
                names.append(click.format_filename(item.path))
    write_vectors(out, names, embeddings[: len(names)], fingerprint=encoder.fingerprint)
    if as_json:
        body = {"embedded": len(names), "unreadable": unreadable_bodies(failed)}
        click.echo(json_text(body))
    else:
        click.echo(f"{len(names)} embeddings of {encoder.dim} values in {out}")
        print_unreadable(failed)
    if failed:
        click.get_current_context().exit(UNREADABLE_EXIT_CODE)


def _check_out(out: Path) -> None:
    """Raise an error if the result could not be written."""
    if out.suffix not in SUFFIXES:
        raise click.BadParameter(f"{out} must end in .npz or .parquet", param_hint="--out")
    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise click.ClickException(
            "writing .parquet needs the extra `parquet`, which is not installed here:"
            " pip install 'minuend[parquet]', or write .npz"
        )


def _list_files(paths: Iterable[Path]) -> tuple[list[Path], list[Unreadable]]:
    """Return the files, each once and with those of folders, and folders that cannot be listed."""
    from service.library.folder import find_audio

    files: dict[Path, None] = {}
    failed: list[Unreadable] = []
    for path in paths:
        found, unlisted = find_audio(path) if path.is_dir() else ([path], [])
        files.update(dict.fromkeys(found))
        failed += unlisted
    return list(files), failed
