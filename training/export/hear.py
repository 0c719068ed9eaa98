"""The API of the HEAR benchmark (Holistic Evaluation of Audio Representations) for a bundle.

    hear-validator training.export.hear --model BUNDLE

A scene embedding is the bundle's embedding of a whole clip. Timestamp embeddings are the frames of
the encoder, over which a scene embedding is pooled; there are 25 per second.
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
from training.model.model import MIN_SAMPLES, EmbeddingModel, mask_and_pad

BATCH = 16  # clips encoded in one call


class HearModel(nn.Module):
    """An encoder with the attributes that HEAR requires.

    Attributes:
        sample_rate: Rate of the audio [Hz].
        scene_embedding_size: Number of values of a clip's embedding.
        timestamp_embedding_size: Number of values of a timestamp's embedding.
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
        """Compute the encoder frames of clips of one length."""
        lengths = torch.full((len(audio),), audio.shape[1], device=audio.device)
        n_log_mel = 1 + lengths.clamp(min=MIN_SAMPLES) // HOP_LENGTH
        log_mel = self.model.log_mel(mask_and_pad(audio, lengths))
        frames = self.model.encoder.frames(log_mel, n_log_mel)
        return frames[:, : int(n_log_mel[0]) // TIME_STRIDE]


def load_model(model_file_path: str = "models/default") -> HearModel:
    """Load the encoder of a bundle.

    Args:
        model_file_path: Folder of the bundle.

    Raises:
        BundleError: The folder is no bundle, or the bundle is damaged.
    """
    return HearModel(load_bundle(Path(model_file_path)).model).eval()


@torch.inference_mode()
def get_scene_embeddings(
    audio: Float[Tensor, "clips samples"], model: HearModel
) -> Float[Tensor, "clips dim"]:
    """Compute one embedding for each clip.

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
    """Compute an embedding for every 40 ms of each clip.

    Args:
        audio: Clips of one length at 16 kHz, -1 to 1.
        model: From ``load_model``.

    Returns:
        The embeddings, and their timestamps: the centres of the frames [ms].

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
