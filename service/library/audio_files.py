"""The audio file of a clip, if the catalogue names one that may be opened.

A catalogue may come from a backup of somebody else. Stored audio is only opened below the library,
and audio that is read in place only if its name is that of an audio file.
"""

from __future__ import annotations

import stat
from pathlib import Path

from service.audio.decoding import AUDIO_SUFFIXES
from service.catalog.stored_names import is_name_of
from service.clips import ClipRecord
from service.errors import ClipAudioMissingError


def audio_path(library: Path, record: ClipRecord) -> Path:
    """Return the path of the audio file of a clip, whether or not the file is there.

    Args:
        library: Folder of the library.
        record: The clip.

    Raises:
        ClipAudioMissingError: The clip has no audio, or the catalogue names a file that this
            service would not have named.
    """
    if record.source == "vector" or record.path is None:
        raise ClipAudioMissingError(f"clip {record.id!r} was added as a vector, without audio")
    if not is_well_named(record.source, record.path, record.sha256):
        raise ClipAudioMissingError(
            f"the catalogue names a file for clip {record.id!r} that is not the file of a clip;"
            " it is not opened"
        )
    return library / record.path


def audio_file(library: Path, record: ClipRecord) -> Path:
    """Return the path of the audio file of a clip; see `audio_path`.

    Raises:
        ClipAudioMissingError: As `audio_path`, or the file is gone or no regular file.
    """
    path = audio_path(library, record)
    try:
        # A stored file is no link; one that is read in place may be.
        status = path.stat(follow_symlinks=record.source == "referenced")
    except (OSError, ValueError):  # a path with a null character
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        raise ClipAudioMissingError(f"the {record.source} audio of clip {record.id!r} is missing")
    return path


def is_well_named(source: str, path: object, sha256: str | None) -> bool:
    """Tell whether the path of a clip's audio has the form that this service gives it.

    Args:
        source: Source of the clip.
        path: Path of its audio.
        sha256: Digest of its audio.
    """
    if source == "stored":
        return isinstance(path, str) and is_name_of(path, sha256)
    return (
        source == "referenced"
        and isinstance(path, str)
        and Path(path).is_absolute()
        and Path(path).suffix.lower() in AUDIO_SUFFIXES
    )
