"""The encoder served by BentoML, with a worker for each core.

bentoml serve bentoml_server:Embedder --port PORT
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType
from model import Model, decode

WORKERS = int(os.environ.get("PEER_WORKERS", "2"))


@bentoml.service(workers=WORKERS, traffic={"timeout": 120, "max_concurrency": 256})
class Embedder:
    """Decodes and encodes a file of a form."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(route="/embed")
    def embed(self, audio: Annotated[Path, ContentType("audio/wav")]) -> np.ndarray:
        """Embed a file."""
        return self.model.embed([decode(audio.read_bytes())])[0]
