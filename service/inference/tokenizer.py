"""From a text to the numbers that a text encoder reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from jaxtyping import Int64

from service.errors import BundleError


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text in tokens.

    Attributes:
        ids: Their numbers, those of the special tokens included, int64 [tokens].
        is_cut: Whether the text had more of them than the window holds.
        is_empty: Whether there are none but the special ones.
    """

    ids: Int64[np.ndarray, " tokens"]
    is_cut: bool
    is_empty: bool


class Tokenizer:
    """Cuts texts into the tokens of a text encoder; safe to use from several threads.

    Whatever the file says about it, nothing is padded and what is beyond the window is cut off.

    Args:
        path: A `tokenizer.json`.
        max_tokens: Window of the text encoder, special tokens included.

    Raises:
        BundleError: The file is no tokeniser, or the window too small for the special tokens.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except Exception as error:  # the library raises nothing more precise
            raise BundleError(f"{path} is no tokeniser: {error}") from error
        n_special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= n_special:
            raise BundleError(f"{path} adds {n_special} tokens, the window holds {max_tokens}")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def tokenize(self, text: str) -> Tokens:
        """Cut a text; every text there is can be cut.

        Args:
            text: Any length, any characters; what is no character counts as a question mark.
        """
        encoding = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
        return Tokens(
            ids=np.array(encoding.ids, np.int64),
            is_cut=bool(encoding.overflowing),
            is_empty=all(encoding.special_tokens_mask),
        )
