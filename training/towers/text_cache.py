"""Disk cache of text embeddings, by string: the text encoder is frozen, and slow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.inference.tokenizer import Tokenizer
from training.towers.recipe import TextRecipe
from training.towers.text_encoder_files import TOKENIZER, find_text_encoder

TEXTS_PER_WRITE = 1024


class TextCache:
    """Embeds texts, each string once.

    Attributes:
        files: Files of the text encoder.
        dim: Length of an embedding.
        max_tokens: Longest text, special tokens included.

    A folder of two files that are only appended to: ``texts.jsonl`` with a string per line, and
    ``embeddings.f32`` with a row for each. Rows that a crash left in one of them only are dropped.

    Args:
        folder: Folder of all caches; each text encoder has its own folder in it.
        recipe: Names the text encoder.

    Raises:
        TextEncoderError: The files of the text encoder are missing, or the weights have another
            hash.
    """

    def __init__(self, folder: Path, recipe: TextRecipe) -> None:
        self.files = find_text_encoder(recipe)
        self.max_tokens = recipe.max_tokens
        config = json.loads((self.files.folder / "config.json").read_text(encoding="utf-8"))
        self.dim = int(config.get("hidden_size") or config["dim"])  # DistilBERT calls it dim
        self._folder = folder / f"{self.files.identity[:16]}-{recipe.max_tokens}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._texts, self._vectors = self._folder / "texts.jsonl", self._folder / "embeddings.f32"
        self._rows: dict[str, int] = {}
        self._read()

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts hidden"]:
        """Return the embedding of each text; run the text encoder for new texts only."""
        new = sorted(set(texts) - self._rows.keys(), key=lambda text: (len(text), text))
        if new:
            self._encode(new)
        rows = [self._rows[text] for text in texts]
        if not rows:
            return np.zeros((0, self.dim), np.float32)
        stored = np.memmap(self._vectors, np.float32, "r").reshape(-1, self.dim)
        return np.asarray(stored[rows])

    def _encode(self, new: Sequence[str]) -> None:
        from training.towers.text_encoder import TextEncoderNetwork, encode_texts

        encoder = TextEncoderNetwork(self.files)
        tokenizer = Tokenizer(self.files.folder / TOKENIZER, self.max_tokens)
        is_quick = len(new) < TEXTS_PER_WRITE
        for first in tqdm(range(0, len(new), TEXTS_PER_WRITE), desc="texts", disable=is_quick):
            batch = new[first : first + TEXTS_PER_WRITE]
            embeddings = encode_texts(encoder, tokenizer, batch)
            with self._vectors.open("ab") as file:
                file.write(embeddings.astype("<f4").tobytes())
            with self._texts.open("a", encoding="utf-8") as lines:
                lines.writelines(json.dumps(text) + "\n" for text in batch)
            for text in batch:
                self._rows[text] = len(self._rows)

    def _read(self) -> None:
        """Read the strings, and cut both files to the rows that they have in common."""
        if not (self._texts.is_file() and self._vectors.is_file()):
            for path in (self._texts, self._vectors):
                path.write_bytes(b"")
            return
        row_bytes = 4 * self.dim
        lines = self._texts.read_bytes().split(b"\n")[:-1]
        n = min(len(lines), self._vectors.stat().st_size // row_bytes)
        with self._texts.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in lines[:n]))
        with self._vectors.open("r+b") as file:
            file.truncate(n * row_bytes)
        self._rows = {json.loads(line): row for row, line in enumerate(lines[:n])}
