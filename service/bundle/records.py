"""Common parts of the records of a manifest."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
PositiveInt = Annotated[int, Field(gt=0)]


class Record(BaseModel):
    """A part of the manifest: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
