from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from service.inference.tokenizer import Tokenizer
from training.towers.recipe import TextRecipe
from training.towers.text_encoder import (
    TextEncoderNetwork,
    encode_texts,
    masked_mean,
    tokenize,
)
from training.towers.text_encoder_files import TOKENIZER, TextEncoderFiles, find_text_encoder

TEXTS = ["dog", "add a dog", "rain and a much longer text than the others", "", "dog"]
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def files(text_folder: Path) -> TextEncoderFiles:
    return find_text_encoder(TextRecipe(folder=text_folder, weights_sha256=None))


def test_the_masked_mean_ignores_padding() -> None:
    tokens = torch.randn(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    expected = torch.stack([tokens[0, :2].mean(dim=0), tokens[1].mean(dim=0)])
    assert torch.allclose(masked_mean(tokens, mask), expected)
    for filler in (7.0, torch.inf, torch.nan):
        tokens[0, 2:] = filler
        assert torch.allclose(masked_mean(tokens, mask), expected)


def test_texts_are_padded_to_the_longest_and_cut_at_the_most_tokens(
    files: TextEncoderFiles,
) -> None:
    ids, mask = tokenize(Tokenizer(files.folder / TOKENIZER, 8), TEXTS)
    assert ids.shape == mask.shape == (5, 8)
    assert mask.sum(dim=1).tolist() == [3, 7, 8, 2, 3]
    assert not ids[mask == 0].any()


def test_a_text_alone_and_in_a_batch_gives_the_same(files: TextEncoderFiles) -> None:
    encoder, tokenizer = TextEncoderNetwork(files), Tokenizer(files.folder / TOKENIZER, 32)
    together = encode_texts(encoder, tokenizer, TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        alone = encode_texts(encoder, tokenizer, [text])[0]
        assert np.abs(row - alone).max() < ROUNDING
    assert np.abs(together[0] - together[1]).max() > 100 * ROUNDING
