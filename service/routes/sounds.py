"""How a request names a sound: by a file part, or by the id or embedding in a field."""

from __future__ import annotations

from typing import Any

from service.bodies import Upload
from service.sounds import File, Sound, Stored, Vector


def named_sounds(upload: Upload | None, clip_id: str | None, embedding: Any = None) -> list[Sound]:
    """Return the sounds that are given.

    Args:
        upload: A file part.
        clip_id: The id of a stored clip.
        embedding: A raw embedding [dim].
    """
    sounds: list[Sound] = []
    if upload is not None:
        sounds.append(File(upload.file))
    if clip_id is not None:
        sounds.append(Stored(clip_id))
    if embedding is not None:
        sounds.append(Vector(embedding))
    return sounds
