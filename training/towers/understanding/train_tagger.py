"""Training of the tagger, with Adam on the tags of drawn requests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from training.errors import DivergenceError
from training.towers.understanding.recipe import TaggerRecipe
from training.towers.understanding.tagger import Tagger
from training.towers.understanding.tagger_data import IGNORED, TaggedRequests

SEED = 0


def train_tagger(data: TaggedRequests, recipe: TaggerRecipe) -> Tagger:
    """Train a tagger; the learning rate falls to zero along a cosine.

    Returns:
        The tagger, in evaluation mode.

    Raises:
        DivergenceError: The loss is not finite.
    """
    # Dropout draws from the global generator, which is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        tagger = Tagger(data.encoded.states.shape[1])
        optimizer = torch.optim.AdamW(
            tagger.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        n_steps = recipe.epochs * -(-len(data.requests) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(recipe.epochs):
            for rows in torch.split(torch.randperm(len(data.requests)), recipe.batch_size):
                states, mask, tags = pad(data, rows.tolist())
                logits = tagger(states, mask)
                loss = nn.functional.cross_entropy(
                    logits.flatten(0, 1), tags.flatten(), ignore_index=IGNORED
                )
                if not torch.isfinite(loss):
                    raise DivergenceError("the loss of the tagger is not finite")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # by torch
                optimizer.step()
                schedule.step()
    return tagger.eval().requires_grad_(False)


def pad(
    data: TaggedRequests, rows: Sequence[int]
) -> tuple[
    Float[Tensor, "batch tokens hidden"],
    Int64[Tensor, "batch tokens"],
    Int64[Tensor, "batch tokens"],
]:
    """Return states, mask and tags of some requests, padded to the longest of them."""
    first = data.encoded.first
    states = [torch.from_numpy(data.encoded.of(row)) for row in rows]
    tags = [torch.from_numpy(data.tags[first[row] : first[row + 1]]) for row in rows]
    masks = [torch.ones(len(each), dtype=torch.int64) for each in tags]
    pad_rows = nn.utils.rnn.pad_sequence
    return (
        pad_rows(states, batch_first=True),
        pad_rows(masks, batch_first=True),
        pad_rows(tags, batch_first=True, padding_value=IGNORED),
    )
