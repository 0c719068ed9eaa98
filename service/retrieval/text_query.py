"""The part of a text in a query: its sounds, each with the sign and weight of its change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from service.bundle.understanding import CompositionWeights
from service.difference import l2_normalize
from service.inference.novelty import Novelty
from service.inference.towers import EncodedText, Towers
from service.inference.understanding import Change, UnderstoodSound
from service.retrieval.query import Modifier, Notice

SILENCE = "silence"
"""Text that is searched for where a text asks for no sound at all."""
COMPARED: frozenset[Change] = frozenset({"add", "louder", "quieter", "more", "less"})
"""Changes that only name a sound where there is nothing to compare with."""
SHOWN_CHARACTERS = 60
"""Characters of a text in a notice."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Contribution of a text to a query.

    Attributes:
        vector: Its term of the query, float32 [dim]; None if it has no effect.
        understood: The sounds that it names, with their changes.
        notices: Remarks about it.
    """

    vector: Float32[np.ndarray, " dim"] | None = None
    understood: list[UnderstoodSound] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def read_modifier(modifier: Modifier, towers: Towers, *, is_alone: bool = False) -> TextPart:
    """Encode a text, and compose the vectors of its sounds by what it asks for.

    A text that only names sounds has the vector of the whole text, as has every text with a bundle
    that cannot tell the sounds of a text. Without a sound that it changes, a text only names those
    that shall be quieter or less: "quieter rain" alone is rain.

    Args:
        modifier: A text of any length, and its strength.
        towers: They encode it.
        is_alone: Whether the text is the whole query.
    """
    if modifier.strength == 0:
        return TextPart()
    encoded = towers.text.encode(modifier.text)
    if encoded is None:
        notice = Notice("modifier_empty", "the modifier holds no words; it is left out")
        return TextPart(notices=[notice])
    sounds = [(each, _encode_sound(each, towers)) for each in encoded.sounds]
    vector = encoded.vector
    understanding = towers.info.understanding
    changes = [_change(each, is_alone=is_alone) for each, _ in sounds]
    if understanding is not None and set(changes) - {"describe"}:
        vectors = [sound.vector if sound else encoded.vector for _, sound in sounds]
        named = list(zip(changes, vectors, strict=True))
        vector = compose_sounds(encoded.vector, named, understanding.weights)
    notices = [*_cut_notices(encoded, towers), *_unknown_notices(modifier.text, encoded, sounds)]
    return TextPart(np.float32(modifier.strength) * vector, list(encoded.sounds), notices)


def compose_sounds(
    sentence: Float32[np.ndarray, " dim"],
    sounds: list[tuple[Change, Float32[np.ndarray, " dim"]]],
    weights: CompositionWeights,
) -> Float32[np.ndarray, " dim"]:
    """Return the vector of a request.

    Args:
        sentence: Vector of the whole text.
        sounds: The change and the vector of each sound.
        weights: Weights of the changes, and of the whole text.
    """
    total: np.ndarray = np.float32(weights.sentence) * sentence
    for change, vector in sounds:
        total = total + np.float32(getattr(weights, change)) * l2_normalize(vector)
    return total


def _change(sound: UnderstoodSound, *, is_alone: bool) -> Change:
    """Return what a sound means for the query."""
    return "describe" if is_alone and sound.change in COMPARED else sound.change


def _encode_sound(sound: UnderstoodSound, towers: Towers) -> EncodedText | None:
    """Encode the words of a sound alone, as a description of it."""
    return towers.text.encode(SILENCE if sound.change == "none" else sound.sound)


def _cut_notices(encoded: EncodedText, towers: Towers) -> list[Notice]:
    if not encoded.is_cut:
        return []
    detail = (
        f"the modifier is longer than the {towers.text.max_tokens} tokens that this bundle reads;"
        " the rest of it is left out"
    )
    return [Notice("modifier_cut", detail)]


def _unknown_notices(
    text: str, encoded: EncodedText, sounds: Sequence[tuple[UnderstoodSound, EncodedText | None]]
) -> list[Notice]:
    """Return a notice for each unknown sound of a text, or for the text if it names no sound."""
    checked = [(each.sound, one.novelty) for each, one in sounds if one and each.change != "none"]
    if not sounds:
        checked = [(text, encoded.novelty)]
    unknown = {words: novelty for words, novelty in checked if novelty and novelty.is_unknown}
    return [Notice("modifier_unknown", _say_unknown(*each)) for each in unknown.items()]


def _say_unknown(words: str, novelty: Novelty) -> str:
    shown = words if len(words) <= SHOWN_CHARACTERS else f"{words[: SHOWN_CHARACTERS - 1]}…"
    nearest = ", ".join(f'"{phrase}"' for phrase in novelty.nearest)
    return (
        f'"{shown}" names no sound that this bundle knows; the scores are not comparable to those'
        f" of known texts. The nearest known phrases are {nearest}"
    )
