"""How a request names a sound: by a file part, or by the id or embedding in a field."""

from __future__ import annotations

from typing import Any

from service.api.bodies import Upload
from service.retrieval.inputs import AudioInput, ClipInput, EmbeddingInput, FileInput


def named_sounds(
    upload: Upload | None, clip_id: str | None, embedding: Any = None
) -> list[AudioInput]:
    """Return the sounds that are given.

    Args:
        upload: A file part.
        clip_id: The id of a stored clip.
        embedding: A raw embedding [dim].
    """
    sounds: list[AudioInput] = []
    if upload is not None:
        sounds.append(FileInput(upload.file))
    if clip_id is not None:
        sounds.append(ClipInput(clip_id))
    if embedding is not None:
        sounds.append(EmbeddingInput(embedding))
    return sounds
