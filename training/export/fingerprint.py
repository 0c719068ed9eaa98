"""Fingerprint of an encoder: a hash of everything that its embeddings depend on."""

from __future__ import annotations

import hashlib
import json

import torch

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY
from training.model.frontend import (
    HOP_LENGTH,
    SAMPLE_RATE,
    mel_filters,
    windowed_fourier_kernel,
)
from training.model.model import MIN_SAMPLES, EmbeddingModel


def fingerprint(model: EmbeddingModel) -> str:
    """Hash the weights, the statistics, the front end's constants and the resampler.

    The hash is over canonical content, not over the bytes of a file: another exporter or operator
    set does not change it. The front end is hashed by its definition, not by how it is computed.
    """
    digest = hashlib.sha256()
    constants = [RESAMPLER, RESAMPLER_QUALITY, SAMPLE_RATE, HOP_LENGTH, MIN_SAMPLES]
    digest.update(json.dumps(constants).encode())
    tensors = model.state_dict() | {
        "frontend.fourier": windowed_fourier_kernel(),
        "frontend.filters": mel_filters(),
    }
    for name in sorted(tensors):
        if name.endswith("num_batches_tracked"):
            continue
        values = tensors[name].detach().to("cpu", torch.float32).contiguous().numpy()
        digest.update(json.dumps([name, list(values.shape)]).encode())
        digest.update(values.astype("<f4").tobytes())
    return digest.hexdigest()
