"""Requests with the tag of every token: for training, and to measure a tagger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from service.inference.tokenizer import Tokens
from service.inference.understanding import TAGS
from training.towers.recipe import TextRecipe
from training.towers.understanding.sounds import SoundNames
from training.towers.understanding.states import TokenStates, embed_tokens
from training.words.names import Part
from training.words.requests import Request, RequestGrammar

IGNORED = -100  # tag of a special token, which no loss counts
TEST_SEED = 2024


@dataclass(frozen=True, slots=True)
class TaggedRequests:
    """Requests, their tokens and tags.

    Attributes:
        requests: The requests.
        encoded: Their tokens and states.
        tags: Number of the tag of every token, `IGNORED` for special tokens, int64 [all_tokens].
    """

    requests: list[Request]
    encoded: TokenStates
    tags: Int64[np.ndarray, " all_tokens"]


def draw_requests(
    sounds: Sequence[str], n: int, seed: int, *, part: Part = "seen"
) -> list[Request]:
    """Draw requests about sounds, each text once.

    Args:
        sounds: Names of sounds.
        n: Number of requests; fewer where the same text is drawn again.
        seed: Seed.
        part: Part of the phrasings.
    """
    grammar, rng = RequestGrammar(sounds, part), np.random.default_rng(seed)
    drawn = {request.text: request for request in (grammar.draw(rng) for _ in range(n))}
    return list(drawn.values())


def draw_tests(names: SoundNames, n: int) -> dict[str, list[Request]]:
    """Draw descriptions with new names, and requests with new names, phrasings, or both."""
    grammar, rng = RequestGrammar(names.held_out), np.random.default_rng(TEST_SEED)
    described = {request.text: request for request in (grammar.describe(rng) for _ in range(n))}
    return {
        "descriptions": list(described.values()),
        "held_out_names": draw_requests(names.held_out, n, TEST_SEED),
        "held_out_phrasings": draw_requests(names.seen, n, TEST_SEED, part="held_out"),
        "held_out_both": draw_requests(names.held_out, n, TEST_SEED, part="held_out"),
    }


def tag_requests(requests: list[Request], recipe: TextRecipe, cache: Path) -> TaggedRequests:
    """Encode requests, and give every token its tag.

    Args:
        requests: The requests.
        recipe: Names the text encoder.
        cache: Folder of stored states.
    """
    encoded = embed_tokens([request.text for request in requests], recipe, cache)
    tags = [
        tag_tokens(request, tokens)
        for request, tokens in zip(requests, encoded.tokens, strict=True)
    ]
    return TaggedRequests(requests, encoded, np.concatenate(tags))


def tag_tokens(request: Request, tokens: Tokens) -> Int64[np.ndarray, " tokens"]:
    """Return the tag of every token: its place in `TAGS`, or `IGNORED`."""
    tags = np.where(tokens.words < 0, IGNORED, 0)
    for span in request.spans:
        starts = (tokens.offsets[:, 0] >= span.start) & (tokens.words >= 0)
        inside = np.flatnonzero(starts & (tokens.offsets[:, 1] <= span.end))
        tags[inside] = TAGS.index(f"{span.change}.inside")
        tags[inside[:1]] = TAGS.index(f"{span.change}.begin")
    return tags
