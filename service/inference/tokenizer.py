"""Tokenisation of texts for the text encoder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from jaxtyping import Int64

from service.errors import BundleError


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text.

    Attributes:
        ids: Numbers of the tokens, special tokens included, int64 [tokens].
        offsets: First character of each token and the one after its last, int64 [tokens 2].
        words: Number of the word of each token from 0, -1 for a special token, int64 [tokens].
        n_unknown: Number of words that are not in the vocabulary, not even in pieces.
        is_cut: Whether the text had more tokens than the window.
        is_empty: Whether there are only special tokens.
    """

    ids: Int64[np.ndarray, " tokens"]
    offsets: Int64[np.ndarray, "tokens 2"]
    words: Int64[np.ndarray, " tokens"]
    n_unknown: int
    is_cut: bool
    is_empty: bool


class Tokenizer:
    """Splits texts into the tokens of a text encoder; for several threads at once.

    Texts are not padded, and are cut at the end of the window; settings of the file are ignored.

    Args:
        path: A `tokenizer.json`.
        max_tokens: Window of the text encoder, special tokens included.

    Raises:
        BundleError: The file is no tokeniser, or the window is too small for the special tokens.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except Exception as error:  # the library raises Exception itself
            raise BundleError(f"{path} is no tokeniser: {error}") from error
        n_special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= n_special:
            raise BundleError(f"{path} adds {n_special} tokens, the window holds {max_tokens}")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        unknown = self._tokenizer.token_to_id("[UNK]")
        self._unknown = -1 if unknown is None else unknown

    def tokenize(self, text: str) -> Tokens:
        """Split a text into tokens.

        Args:
            text: Any length, any characters; lone surrogates count as question marks.
        """
        encoding = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
        words = [-1 if word is None else word for word in encoding.word_ids]
        return Tokens(
            ids=np.array(encoding.ids, np.int64),
            offsets=np.array(encoding.offsets, np.int64).reshape(-1, 2),
            words=np.array(words, np.int64),
            n_unknown=encoding.ids.count(self._unknown),
            is_cut=bool(encoding.overflowing),
            is_empty=all(encoding.special_tokens_mask),
        )

    def whole_words(self, shortest: int) -> list[str]:
        """Return the words of the vocabulary that consist of letters a to z, sorted.

        Args:
            shortest: Fewest letters of a word.
        """
        words = self._tokenizer.get_vocab()
        return sorted(w for w in words if len(w) >= shortest and re.fullmatch("[a-z]+", w))
