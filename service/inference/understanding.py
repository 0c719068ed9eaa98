"""Understanding of a text: which sounds it names, and what it asks for about each of them.

The text encoder gives every token the probabilities of `TAGS`. They mark spans as in the BIO scheme
of named entity recognition: outside, the beginning of a sound, the inside of a sound; of each
change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32

from service.inference.tokenizer import Tokens

Change = Literal[
    "describe",
    "add",
    "remove",
    "louder",
    "quieter",
    "more",
    "less",
    "instead_of",
    "only",
    "none",
]
"""Request of a text about a sound. `describe`: it names the sound and no change. `instead_of`:
the sound is replaced. `only`: this sound and no other. `none`: no sound at all."""
CHANGES: tuple[Change, ...] = get_args(Change)
DIRECTIONS: tuple[frozenset[Change], ...] = (
    frozenset({"describe", "add", "louder", "more"}),
    frozenset({"remove", "quieter", "less", "instead_of"}),
    frozenset({"only"}),
    frozenset({"none"}),
)
"""Changes that move a query the same way: towards a sound, away from it, to it alone, to none."""
TAGS = ("outside", *(f"{change}.{part}" for change in CHANGES for part in ("begin", "inside")))
"""Names of the classes of a token, in the order of the graph."""
MAX_SOUNDS = 8


@dataclass(frozen=True, slots=True)
class UnderstoodSound:
    """A sound that a text names.

    Attributes:
        change: What the text asks for about it.
        sound: The words of the text.
        confidence: Mean probability of the change over these words, 0 to 1.
    """

    change: Change
    sound: str
    confidence: float


def read_sounds(
    text: str, tokens: Tokens, tags: Float32[np.ndarray, "tokens classes"]
) -> tuple[UnderstoodSound, ...]:
    """Return the sounds that the tags of a text mark, in their order, `MAX_SOUNDS` at most.

    Args:
        text: The text.
        tokens: Its tokens.
        tags: Probabilities of `TAGS` of each token.
    """
    n_words = int(tokens.words.max(initial=-1)) + 1
    words = [np.flatnonzero(tokens.words == word) for word in range(n_words)]
    if not words:
        return ()
    # A word has the mean of its pieces, but it begins a sound only by its first piece.
    means = np.stack([tags[pieces].mean(axis=0) for pieces in words])
    first = np.stack([tags[pieces[0]] for pieces in words])
    changes = means[:, 1:].reshape(n_words, len(CHANGES), 2).sum(axis=2)
    starts = first[:, 1::2].sum(axis=1) > first[:, 2::2].sum(axis=1)
    found = []
    for begin, end in _runs(means[:, 0] < changes.sum(axis=1), starts):
        of_sound = changes[begin:end].mean(axis=0)
        best = _choose(of_sound)
        characters = tokens.offsets[np.concatenate(words[begin:end])]
        sound = text[int(characters[:, 0].min()) : int(characters[:, 1].max())]
        found.append(UnderstoodSound(CHANGES[best], sound, float(of_sound[best])))
    return tuple(found[:MAX_SOUNDS])


def _choose(probabilities: Float32[np.ndarray, " changes"]) -> int:
    """Return the likeliest change of the likeliest direction: a wrong direction does most harm."""
    directions = np.array([[change in each for change in CHANGES] for each in DIRECTIONS])
    direction = directions[(directions @ probabilities).argmax()]
    return int(np.where(direction, probabilities, -1.0).argmax())


def _runs(
    inside: Bool[np.ndarray, " words"], starts: Bool[np.ndarray, " words"]
) -> list[tuple[int, int]]:
    """Return the first word of each sound and the one after its last."""
    runs: list[tuple[int, int]] = []
    for word in np.flatnonzero(inside).tolist():
        if runs and runs[-1][1] == word and not starts[word]:
            runs[-1] = (runs[-1][0], word + 1)
        else:
            runs.append((word, word + 1))
    return runs
