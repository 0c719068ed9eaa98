"""Texts that name no known sound: written ones, and ones made at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources

import numpy as np
import yaml
from pydantic import TypeAdapter

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CONSONANTS, VOWELS = "bcdfghjklmnprstvwxz", "aeiou"


def draw_unknown_texts(words: Sequence[str], n: int, seed: int) -> dict[str, list[str]]:
    """Return texts that name no sound, by kind.

    Args:
        words: Words that random sentences are made of.
        n: Texts of each kind that is made at random.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    content = resources.files("training.words").joinpath("unknown.yaml").read_text("utf-8")
    kinds = TypeAdapter(dict[str, list[str]]).validate_python(yaml.safe_load(content))
    return kinds | {
        "letters": _draw(n, rng, _letters),
        "keyboard": _draw(n, rng, _keys),
        "invented": _draw(n, rng, _invented),
        "salad": [_salad(words, rng) for _ in range(n)],
    }


def _draw(
    n: int, rng: np.random.Generator, word: Callable[[np.random.Generator], str]
) -> list[str]:
    """Draw texts of one to three words."""
    return [" ".join(word(rng) for _ in range(rng.integers(1, 4))) for _ in range(n)]


def _letters(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(LETTERS), rng.integers(4, 11)))


def _keys(rng: np.random.Generator) -> str:
    """Return neighbouring keys of a keyboard, as a hand drums on them."""
    row = ROWS[int(rng.integers(len(ROWS)))]
    start = int(rng.integers(len(row) - 3))
    keys = row[start : start + int(rng.integers(3, 7))]
    return keys[::-1] if rng.random() < 0.3 else keys * int(rng.integers(1, 3))


def _invented(rng: np.random.Generator) -> str:
    """Return a word that can be spoken and means nothing."""
    syllables = rng.integers(2, 4)
    return "".join(
        str(rng.choice(list(CONSONANTS)))
        + str(rng.choice(list(VOWELS)))
        + str(rng.choice(["", "n", "r", "x"]))
        for _ in range(syllables)
    )


def _salad(words: Sequence[str], rng: np.random.Generator) -> str:
    """Return three to six words that have nothing to do with each other."""
    chosen = rng.integers(len(words), size=int(rng.integers(3, 7)))
    return " ".join(words[i] for i in chosen)
