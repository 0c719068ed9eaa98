"""The frozen text encoder: from tokens to the masked mean of its last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor, nn
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from service.inference.tokenizer import Tokenizer
from training.towers.text_encoder_files import TextEncoderFiles

BATCH = 128


class TextEncoderNetwork(nn.Module):
    """A BERT whose outputs are averaged over the tokens.

    Args:
        files: Files of the network.
    """

    def __init__(self, files: TextEncoderFiles) -> None:
        super().__init__()
        # transformers has no annotation here
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Eager attention is plain matrix products, which every execution provider can run.
        self.bert = AutoModel.from_pretrained(
            files.folder, local_files_only=True, use_safetensors=True, attn_implementation="eager"
        )
        self.dim = int(self.bert.config.hidden_size)
        self.eval().requires_grad_(False)

    def forward(
        self,
        input_ids: Int64[Tensor, "batch tokens"],
        attention_mask: Int64[Tensor, "batch tokens"],
    ) -> Float[Tensor, "batch hidden"]:
        """Encode texts; positions whose mask is 0 are ignored, whatever their values."""
        _, last = self.layers(input_ids, attention_mask)
        return masked_mean(last, attention_mask)

    def layers(
        self,
        input_ids: Int64[Tensor, "batch tokens"],
        attention_mask: Int64[Tensor, "batch tokens"],
    ) -> tuple[Float[Tensor, "batch tokens hidden"], Float[Tensor, "batch tokens hidden"]]:
        """Return the middle and the last layer; the values where the mask is 0 mean nothing."""
        states = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        ).hidden_states
        return states[len(states) // 2], states[-1]


def masked_mean(
    tokens: Float[Tensor, "batch tokens hidden"], mask: Int64[Tensor, "batch tokens"]
) -> Float[Tensor, "batch hidden"]:
    """Average over the positions whose mask is 1; there must be at least one."""
    masked = torch.where(mask[..., None] > 0, tokens, 0.0)
    return masked.sum(dim=1) / mask.sum(dim=1, keepdim=True).to(tokens.dtype)


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[Int64[Tensor, "batch tokens"], Int64[Tensor, "batch tokens"]]:
    """Turn texts into ``input_ids`` and ``attention_mask``, padded to the longest of them."""
    ids = [torch.from_numpy(tokenizer.tokenize(text).ids) for text in texts]
    input_ids = nn.utils.rnn.pad_sequence(ids, batch_first=True)
    masks = [torch.ones_like(tokens) for tokens in ids]
    return input_ids, nn.utils.rnn.pad_sequence(masks, batch_first=True)


@torch.inference_mode()
def encode_texts(
    encoder: TextEncoderNetwork, tokenizer: Tokenizer, texts: Sequence[str]
) -> Float32[ndarray, "texts hidden"]:
    """Encode any number of texts; those of similar length share a batch."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    embeddings = torch.zeros(len(texts), encoder.dim)
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        embeddings[rows] = encoder(*tokenize(tokenizer, [texts[i] for i in rows])).float()
    return embeddings.numpy()
