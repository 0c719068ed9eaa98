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
from training.towers.files import TOKENIZER, TextEncoderFiles

BATCH = 128


class TextEncoder(nn.Module):
    """A BERT whose token-level output is averaged over the tokens that are there."""

    def __init__(self, files: TextEncoderFiles) -> None:
        super().__init__()
        # transformers leaves it untyped
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Eager attention is plain matrix products, which export to any provider.
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
        """Encode texts; positions whose mask is 0 do not count, whatever they hold."""
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return masked_mean(tokens, attention_mask)


def masked_mean(
    tokens: Float[Tensor, "batch tokens hidden"], mask: Int64[Tensor, "batch tokens"]
) -> Float[Tensor, "batch hidden"]:
    """Average over the positions whose mask is 1; at least one must be."""
    kept = torch.where(mask[..., None] > 0, tokens, 0.0)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).to(tokens.dtype)


def load_tokenizer(files: TextEncoderFiles, max_tokens: int) -> Tokenizer:
    """Load the tokeniser as the service does: it pads nothing and cuts at ``max_tokens``."""
    return Tokenizer(files.folder / TOKENIZER, max_tokens)


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
    encoder: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str]
) -> Float32[ndarray, "texts hidden"]:
    """Encode any number of texts, those of similar length together."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    embeddings = torch.zeros(len(texts), encoder.dim)
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        embeddings[rows] = encoder(*tokenize(tokenizer, [texts[i] for i in rows])).float()
    return embeddings.numpy()
