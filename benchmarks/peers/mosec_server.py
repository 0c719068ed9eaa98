"""The encoder served by mosec, with decoding and encoding in separate processes.

python mosec_server.py --port PORT --address 127.0.0.1
"""

from __future__ import annotations

import os

import numpy as np
from model import Model, decode
from mosec import Server, Worker

WORKERS = int(os.environ.get("PEER_WORKERS", "2"))


class Decoder(Worker):  # type: ignore[misc]  # not installed where types are checked
    """The first stage: bytes to samples."""

    def deserialize(self, data: bytes) -> bytes:
        """Take a raw body."""
        return data

    def forward(self, data: bytes) -> np.ndarray:
        """Decode a file."""
        return decode(data)


class Embedder(Worker):  # type: ignore[misc]  # not installed where types are checked
    """The second stage: samples to an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def forward(self, clip: np.ndarray) -> np.ndarray:
        """Encode a clip."""
        return self.model.embed([clip])[0]

    def serialize(self, data: np.ndarray) -> bytes:
        """Answer raw bytes."""
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Decoder, num=WORKERS)
    server.append_worker(Embedder, num=WORKERS)
    server.run()
