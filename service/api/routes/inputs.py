"""Sounds and ranking options of the forms of POST /search and POST /difference."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile

from service.api.request_models import DifferenceForm, SearchForm
from service.retrieval.inputs import AudioInput, ClipInput, EmbeddingInput, FileInput
from service.retrieval.options import RankingOptions


def named_inputs(
    upload: UploadFile | None, clip_id: str | None, embedding: Any = None
) -> list[AudioInput]:
    """Return the sounds that are given.

    Args:
        upload: A file part.
        clip_id: Id of a stored clip.
        embedding: A raw embedding [dim].
    """
    inputs: list[AudioInput] = []
    if upload is not None:
        inputs.append(FileInput(upload.file))
    if clip_id is not None:
        inputs.append(ClipInput(clip_id))
    if embedding is not None:
        inputs.append(EmbeddingInput(embedding))
    return inputs


def ranking_options(form: SearchForm | DifferenceForm) -> RankingOptions:
    """Return the options of a form; `k` is None, for the default, if the request has none."""
    return RankingOptions(
        form.k if "k" in form.model_fields_set else None,
        form.filter,
        form.reference_weight,
        every_window=form.every_window,
    )
