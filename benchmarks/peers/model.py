"""Decoding and the graph of the encoder, for the bare loop and the peers.

Imports only ONNX Runtime, soundfile and soxr, so that it runs in the environment of any peer.
"""

from __future__ import annotations

import io
import os

import numpy as np
import onnxruntime
import soundfile
import soxr

SAMPLE_RATE_HZ = 16_000
GRAPH = os.environ.get("PEER_GRAPH", "models/default/encoder.onnx")
THREADS = int(os.environ.get("PEER_THREADS", "1"))


def decode(content: bytes) -> np.ndarray:
    """Decode a file to mono at the encoder's rate."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    resampled: np.ndarray = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE_HZ, "HQ")
    return resampled


class Model:
    """The graph of the encoder in a session with the options of the service.

    Args:
        threads: Threads of one run.
    """

    def __init__(self, threads: int = THREADS) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            GRAPH, options, providers=["CPUExecutionProvider"]
        )

    def embed(self, clips: list[np.ndarray]) -> np.ndarray:
        """Encode clips in one run, padded to the longest [clips dim]."""
        lengths = np.array([clip.size for clip in clips], np.int64)
        batch = np.zeros((len(clips), int(lengths.max())), np.float32)
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.size] = clip
        (embeddings,) = self._session.run(["embedding"], {"waveform": batch, "lengths": lengths})
        return np.asarray(embeddings)
