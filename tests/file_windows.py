"""Embeddings of the windows of a clip, for tests that need them without a request."""

from __future__ import annotations

import io

import numpy as np
import synth

from service.audio.decoding import AudioLimits
from service.clips import Windows
from service.concurrency.timings import RequestTimings
from service.inference.batcher import SynchronousBatcher
from service.inference.encoder import Encoder
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.inference.pooling import Windowing

MAX_WINDOWS = 10_000


def embed_windows(encoder: Encoder, clip: np.ndarray, *, window_s: float, hop_s: float) -> Windows:
    """Embed the windows of a clip at the rate of the encoder, as of a file with float samples."""
    limits = RequestLimits(AudioLimits(), MAX_WINDOWS)
    embedder = FileEmbedder(encoder, SynchronousBatcher(encoder), limits=limits)
    file = io.BytesIO(synth.encode(clip, subtype="FLOAT"))
    windowing = Windowing(window_s, hop_s)
    (embedded,) = embedder.embed([file], RequestTimings(), windowing=windowing)
    assert embedded.windows is not None
    return embedded.windows
