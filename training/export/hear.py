"""The HEAR interface over a bundle, so that public benchmark harnesses can run it.

    hear-validator training.export.hear --model BUNDLE

A scene embedding is the bundle's embedding of the whole clip. A timestamp embedding is one frame
of the encoder, which is what a scene embedding pools over; there are 25 a second.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.errors import DatasetError
from training.export.load import load_bundle
from training.model.encoder import DIM, TIME_STRIDE
from training.model.frontend import HOP_LENGTH, SAMPLE_RATE
from training.model.model import MIN_SAMPLES, EmbeddingModel, fit

BATCH = 16  # clips that are encoded at once


class HearModel(nn.Module):
    """An encoder with the attributes the harness asks for.

    Attributes:
        sample_rate: Of the audio it takes [Hz].
        scene_embedding_size: Values of an embedding of a clip.
        timestamp_embedding_size: Values of an embedding of a moment.
    """

    sample_rate = SAMPLE_RATE
    scene_embedding_size = DIM
    timestamp_embedding_size = DIM

    def __init__(self, model: EmbeddingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, audio: Float[Tensor, "clips samples"]) -> Float[Tensor, "clips dim"]:
        """Embed clips of one length as the bundle does."""
        lengths = torch.full((len(audio),), audio.shape[1], device=audio.device)
        embedding: Tensor = self.model(audio, lengths).embedding
        return embedding

    def frames(self, audio: Float[Tensor, "clips samples"]) -> Float[Tensor, "clips frames dim"]:
        """Embed the moments of clips of one length."""
        lengths = torch.full((len(audio),), audio.shape[1], device=audio.device)
        n_log_mel = 1 + lengths.clamp(min=MIN_SAMPLES) // HOP_LENGTH
        log_mel = self.model.log_mel(fit(audio, lengths))
        frames = self.model.encoder.frames(log_mel, n_log_mel)
        return frames[:, : int(n_log_mel[0]) // TIME_STRIDE]


def load_model(model_file_path: str = "models/default") -> HearModel:
    """Load the encoder of a bundle.

    Args:
        model_file_path: Folder of the bundle.

    Raises:
        BundleError: The bundle is damaged or not one.
    """
    return HearModel(load_bundle(Path(model_file_path)).model).eval()


@torch.inference_mode()
def get_scene_embeddings(
    audio: Float[Tensor, "clips samples"], model: HearModel
) -> Float[Tensor, "clips dim"]:
    """Embed each clip as a whole.

    Args:
        audio: Clips of one length at 16 kHz, -1 to 1.
        model: From ``load_model``.

    Raises:
        DatasetError: There are no samples.
    """
    _check(audio)
    return torch.cat([model(clips) for clips in torch.split(audio, BATCH)])


@torch.inference_mode()
def get_timestamp_embeddings(
    audio: Float[Tensor, "clips samples"], model: HearModel
) -> tuple[Float[Tensor, "clips frames dim"], Float[Tensor, "clips frames"]]:
    """Embed the moments of each clip, every 40 ms.

    Args:
        audio: Clips of one length at 16 kHz, -1 to 1.
        model: From ``load_model``.

    Returns:
        The embeddings, and the centre of each moment [ms].

    Raises:
        DatasetError: There are no samples.
    """
    _check(audio)
    embeddings = torch.cat([model.frames(clips) for clips in torch.split(audio, BATCH)])
    step_ms = 1000.0 * HOP_LENGTH * TIME_STRIDE / SAMPLE_RATE
    # Log-mel frame t is centred on sample 160 t, and an encoder frame pools four of them.
    first_ms = 1000.0 * HOP_LENGTH * (TIME_STRIDE - 1) / 2 / SAMPLE_RATE
    centres = first_ms + step_ms * torch.arange(embeddings.shape[1], device=audio.device)
    return embeddings, centres.expand(len(audio), -1)


def _check(audio: Float[Tensor, "clips samples"]) -> None:
    if audio.ndim != 2 or 0 in audio.shape:
        raise DatasetError(f"audio must be [clips, samples], none of them 0; it is {audio.shape}")
