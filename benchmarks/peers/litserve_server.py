"""The encoder served by LitServe, with a worker for each core, dynamic batching and forms.

python litserve_server.py PORT
"""

import base64
import os
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from model import Model, decode

MAX_BATCH = int(os.environ.get("PEER_MAX_BATCH", "1"))
WORKERS = int(os.environ.get("PEER_WORKERS", "2"))


class EmbedApi(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """Decodes, encodes and answers."""

    def setup(self, device: str) -> None:
        """Load the graph."""
        self.model = Model()

    def decode_request(self, request: Request) -> np.ndarray:
        """Decode the file of the form."""
        return decode(request["audio"].file.read())

    def predict(self, clips: Any) -> np.ndarray:
        """Encode one clip, or a batch of them."""
        return self.model.embed(clips if isinstance(clips, list) else [clips])

    def batch(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        """Return clips of any lengths as a list."""
        return clips

    def unbatch(self, embeddings: np.ndarray) -> list[np.ndarray]:
        """Return the row of each clip."""
        return list(embeddings)

    def encode_response(self, embedding: np.ndarray) -> dict[str, str]:
        """Answer as base64 in JSON."""
        return {"embedding": base64.b64encode(embedding.tobytes()).decode()}


if __name__ == "__main__":
    batching = {"max_batch_size": MAX_BATCH, "batch_timeout": 0.01} if MAX_BATCH > 1 else {}
    server = litserve.LitServer(
        EmbedApi(**batching, api_path="/embed"), accelerator="cpu", workers_per_device=WORKERS
    )
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False)
