"""Protocol `subtraction`: a mixture minus a recording of its background finds the event.

Each mixture is searched like minus nothing, minus the excerpt of another recording of the same kind
of background, and minus the very excerpt that it was mixed of. Clips that share a recording with
the mixture count as not being in the library, so the event has to be found in other recordings of
it. A hit is right if it holds the event.

The phrases of ``POST /difference`` are measured on the same mixtures and references: how often the
first one names the event, among all phrases of the bundle. ``own_label`` counts the class's own
label alone, ``named`` also the synonyms and hyponyms of ``phrases.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation.words.figures import mean
from training.evaluation.words.items import Item
from training.evaluation.words.scenes import Partners, Scene, event_sounds
from training.evaluation.words.search import FIRST, Search, is_first_right, n_holding
from training.evaluation.words.tables import names_event

REFERENCES = ("nothing", "another", "same")


def measure(
    search: Search, partners: Sequence[Partners], items: Mapping[Scene, Item]
) -> dict[str, Any]:
    """Search like every mixture minus each reference.

    Args:
        search: The collection of the mixtures.
        partners: The mixtures.
        items: Their items.

    Returns:
        ``hits``: for each reference, the share of first hits with the event (``first``) and its
        share of the first five (``precision_at_5``). ``phrases``: for each reference but nothing,
        ``own_label`` and ``named``. ``random``: the share of clips with the event.
    """
    hits: dict[str, list[tuple[float, float]]] = {name: [] for name in REFERENCES}
    phrases: dict[str, list[tuple[float, float]]] = {name: [] for name in REFERENCES[1:]}
    random = []
    for pair in partners:
        event = event_sounds(pair.label)
        random.append(search.collection.share(event))
        for own in (0, 1):
            mixture = items[pair.mixtures[own]]
            same, another = (items[pair.backgrounds[place]] for place in (own, 1 - own))
            for name, reference in zip(REFERENCES, (None, another, same), strict=True):
                left_out = search.collection.others(mixture)
                found = search.first(mixture, reference=reference, left_out=left_out)
                right = n_holding(found, event) / FIRST
                hits[name].append((is_first_right(found, event), right))
                if reference is not None:
                    phrase = search.first_phrase(mixture, reference)
                    phrases[name].append(_grade(phrase, pair.label))
    return {
        "hits": {name: _figures(rows, "first", "precision_at_5") for name, rows in hits.items()},
        "phrases": {name: _figures(rows, "own_label", "named") for name, rows in phrases.items()},
        "random": mean(random)["value"],
    }


def _grade(phrase: tuple[str, str] | None, event: str) -> tuple[float, float]:
    """Grade a first phrase: whether its label is the class, and whether it names the class."""
    if phrase is None:
        return 0.0, 0.0
    text, label = phrase
    is_own = label == event
    return float(is_own), float(is_own or names_event(event, text, label))


def _figures(rows: Sequence[tuple[float, float]], *names: str) -> dict[str, Any]:
    return {name: mean([row[i] for row in rows]) for i, name in enumerate(names)}
