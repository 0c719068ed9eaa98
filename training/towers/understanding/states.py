"""States of the text encoder at every token of many texts, cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64
from tqdm import tqdm

from service.concurrency.durable import atomic_write
from service.inference.tokenizer import Tokenizer, Tokens
from training.towers.recipe import TextRecipe
from training.towers.text_encoder import BATCH, TextEncoderNetwork, tokenize
from training.towers.text_encoder_files import TOKENIZER, find_text_encoder


@dataclass(frozen=True, slots=True)
class TokenStates:
    """The tokens of texts, one text after the other.

    Attributes:
        tokens: The tokens of each text.
        states: Middle and last layer of the text encoder, one after the other, at all of them,
            float16 [all_tokens 2*hidden].
        first: Row of the first token of each text, and the number of rows, int64 [texts + 1].
    """

    tokens: list[Tokens]
    states: np.ndarray
    first: Int64[np.ndarray, " texts_and_one"]

    def of(self, text: int) -> Float32[np.ndarray, "tokens states"]:
        """Return the states of a text."""
        rows: np.ndarray = self.states[self.first[text] : self.first[text + 1]]
        return rows.astype(np.float32)


def embed_tokens(texts: Sequence[str], recipe: TextRecipe, cache: Path) -> TokenStates:
    """Run the text encoder on texts, or read what an earlier run of the same texts stored.

    Args:
        texts: The texts.
        recipe: Names the text encoder.
        cache: Folder of the stored states.

    Raises:
        TextEncoderError: The files of the text encoder are missing, or have another hash.
    """
    files = find_text_encoder(recipe)
    tokenizer = Tokenizer(files.folder / TOKENIZER, recipe.max_tokens)
    tokens = [tokenizer.tokenize(text) for text in texts]
    first = np.cumsum([0, *(len(each.ids) for each in tokens)])
    key = hashlib.sha256("\0".join([files.identity, str(recipe.max_tokens), *texts]).encode())
    path = cache / f"layers-{key.hexdigest()[:16]}.npy"
    if not path.is_file():
        states = _run(TextEncoderNetwork(files), tokenizer, texts, first)
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.save(file, states)
    return TokenStates(tokens, np.load(path, mmap_mode="r"), first)


@torch.inference_mode()
def _run(
    encoder: TextEncoderNetwork,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    first: Int64[np.ndarray, " texts_and_one"],
) -> np.ndarray:
    states = np.zeros((first[-1], 2 * encoder.dim), np.float16)
    order = np.argsort(np.diff(first), kind="stable")  # texts of one length need no padding
    batches = range(0, len(texts), BATCH)
    for start in tqdm(batches, desc="tokens", disable=len(batches) < 8):
        rows = order[start : start + BATCH]
        ids, mask = tokenize(tokenizer, [texts[row] for row in rows])
        found = torch.cat(encoder.layers(ids, mask), dim=-1).half().numpy()
        for row, of_text in zip(rows, found, strict=True):
            states[first[row] : first[row + 1]] = of_text[: first[row + 1] - first[row]]
    return states
