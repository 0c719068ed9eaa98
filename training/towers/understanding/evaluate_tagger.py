"""Accuracy of a tagger: the sounds of a request, and the change of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from service.inference.understanding import (
    CHANGES,
    DIRECTIONS,
    Change,
    UnderstoodSound,
    read_sounds,
)
from training.towers.understanding.states import TokenStates
from training.towers.understanding.tagger import Tagger
from training.words.requests import Request

DIRECTION = {change: number for number, each in enumerate(DIRECTIONS) for change in each}
"""Number of the direction of each change."""


def evaluate_tagger(
    tagger: Tagger, requests: Sequence[Request], encoded: TokenStates
) -> dict[str, float]:
    """Measure a tagger.

    Returns:
        ``exact``: share of the requests with all sounds and changes right and nothing else;
        ``directions_right``: the same, where only the direction of a change must be right;
        ``sounds``: share of the sounds found with exactly their words;
        ``changes`` and ``directions``: share of those with the right change and direction;
        and for each change its share of right changes among the sounds found.
    """
    counts: Counter[str] = Counter()
    for row, request in enumerate(requests):
        found = tag(tagger, request.text, encoded, row)
        _count(request, found, counts)
    n, n_sounds, n_found = len(requests), counts["sounds"], counts["found"]
    measured = {
        "exact": counts["exact"] / n,
        "directions_right": counts["directions_right"] / n,
        "sounds": n_found / n_sounds,
        "changes": counts["changes"] / max(n_found, 1),
        "directions": counts["directions"] / max(n_found, 1),
    }
    for change in CHANGES:
        if counts[f"found {change}"]:
            measured[change] = counts[f"right {change}"] / counts[f"found {change}"]
    return {name: round(value, 4) for name, value in measured.items()}


@torch.inference_mode()
def tag(tagger: Tagger, text: str, encoded: TokenStates, row: int) -> tuple[UnderstoodSound, ...]:
    """Return the sounds of one of the encoded texts."""
    states = torch.from_numpy(encoded.of(row))[None]
    mask = torch.ones(states.shape[:2], dtype=torch.int64)
    return read_sounds(text, encoded.tokens[row], tagger.probabilities(states, mask)[0].numpy())


def _count(request: Request, found: Sequence[UnderstoodSound], counts: Counter[str]) -> None:
    true = [(request.text[span.start : span.end], span.change) for span in request.spans]
    given = [(each.sound, each.change) for each in found]
    counts["exact"] += given == true
    counts["directions_right"] += _directions(given) == _directions(true)
    counts["sounds"] += len(true)
    change_of = dict(given)
    for sound, change in true:
        if sound in change_of:
            counts["found"] += 1
            counts[f"found {change}"] += 1
            counts["changes"] += change_of[sound] == change
            counts[f"right {change}"] += change_of[sound] == change
            counts["directions"] += DIRECTION[change_of[sound]] == DIRECTION[change]


def _directions(sounds: Sequence[tuple[str, Change]]) -> list[tuple[str, int]]:
    return [(sound, DIRECTION[change]) for sound, change in sounds]
