"""Training of the towers: epochs over cached embeddings; the best state is kept."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from training.errors import DatasetError, DivergenceError
from training.towers.batches import draw_batch, draw_batches, split_pairs
from training.towers.captions.data import CaptionData, add_concepts, draw_caption_loss
from training.towers.data import TowerData
from training.towers.losses import compute_losses, total_loss
from training.towers.networks import TowerNetworks
from training.towers.recipe import TowersRecipe
from training.towers.strength import fit_strength

FEWEST_PAIRS = 4

Rows = Int64[np.ndarray, " rows"]


@dataclass(slots=True)
class TrainedTowers:
    """The result of a training.

    Attributes:
        networks: In the state with the lowest validation loss, in evaluation mode.
        epoch: Epoch of that state, from 1; the last one without validation.
        loss: Validation loss of that state; nan without validation.
        history: Mean of every loss over each epoch, with the validation loss.
    """

    networks: TowerNetworks
    epoch: int = 0
    loss: float = math.nan
    history: list[dict[str, float]] = field(default_factory=list)


def train_towers(
    recipe: TowersRecipe, data: TowerData, captions: CaptionData | None = None
) -> TrainedTowers:
    """Train towers from the first step to the last.

    The same recipe on the same data gives the same towers. Global random generators are not
    changed.

    Args:
        recipe: Recipe of the training.
        data: Pairs.
        captions: Windows with captions; needed if the recipe gives their loss a weight.

    Raises:
        DatasetError: There are too few pairs.
        DivergenceError: A loss is not finite any more.
    """
    n_pairs = len(data.background_ids)
    if n_pairs < FEWEST_PAIRS:
        raise DatasetError(f"{n_pairs} pairs are too few; {FEWEST_PAIRS} are needed")
    if recipe.loss.captions and captions is None:
        raise DatasetError("the recipe trains on captions (loss.captions): give a folder of them")
    if not recipe.loss.captions:
        captions = None
    trained, validated = split_pairs(
        data.background_ids,
        share=recipe.pairs.validation,
        by_background=recipe.pairs.validate_by == "bed",
        seed=recipe.seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        networks = new_networks(recipe, data, trained, captions)
        if captions is not None:
            captions = captions.normalised_by(networks.audio)
        data = data.normalised_by(networks.audio)
        return _train(recipe, (data, captions), networks, (trained, validated))


def new_networks(
    recipe: TowersRecipe, data: TowerData, rows: Rows, captions: CaptionData | None = None
) -> TowerNetworks:
    """Make untrained towers, with the statistics of all that they will be trained on."""
    texts = data.texts
    networks = TowerNetworks(
        data.clips.shape[1],
        texts.embeddings.shape[1],
        data.clip_labels.shape[1],
        recipe.network,
        recipe.loss.temperature,
    )
    networks.log_temperature.requires_grad_(recipe.loss.learn_temperature)
    if recipe.network.standardise:
        clips = torch.unique(data.pair_clips[torch.from_numpy(rows)])
        embeddings = data.clips[clips]
        if captions is not None:
            embeddings = torch.cat([embeddings, captions.windows])
        networks.audio.fit_statistics(embeddings)
        if recipe.network.components is not None:
            networks.audio.fit_components(embeddings)
        used = np.unique(
            np.concatenate([texts.changes[rows], texts.clips[clips.numpy()]], axis=None)
        )
        text_sample = torch.from_numpy(texts.embeddings[used])
        if captions is not None:
            text_sample = torch.cat([text_sample, captions.texts])
        networks.text.fit_statistics(text_sample)
    return networks


def _train(
    recipe: TowersRecipe,
    sources: tuple[TowerData, CaptionData | None],
    networks: TowerNetworks,
    rows: tuple[Rows, Rows],
) -> TrainedTowers:
    """Run all epochs on the first rows, with validation on the second."""
    (data, _), optim = sources, recipe.optim
    rng = np.random.default_rng(recipe.seed)
    parameters = [p for p in networks.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=optim.learning_rate, weight_decay=optim.weight_decay
    )
    result = TrainedTowers(networks)
    best: dict[str, Tensor] | None = None
    for epoch in range(optim.epochs):
        _set_rate(optimiser, recipe, epoch)
        line = {"epoch": float(epoch + 1)}
        line |= _train_epoch(recipe, sources, networks, optimiser, rows[0], rng)
        if len(rows[1]) >= 2:
            line |= _validate(recipe, data, networks, rows[1])
        line["temperature"] = 1.0 / float(networks.scale.detach())
        result.history.append(line)
        loss = line.get("validation", math.nan)
        if best is None or math.isnan(loss) or loss < result.loss:
            result.epoch, result.loss = epoch + 1, loss
            best = copy.deepcopy(networks.state_dict())
    assert best is not None
    networks.load_state_dict(best)
    networks.eval().requires_grad_(False)
    if recipe.network.fit_strength and len(rows[1]) >= 2:
        networks.text.length = fit_strength(networks, data, rows[1])
    return result


def _batches(
    recipe: TowersRecipe, data: TowerData, rows: Rows, rng: np.random.Generator
) -> Iterator[Rows]:
    # Pairs over other recordings are grouped apart: a group of the others is as it is without them.
    ids = data.background_ids[rows]
    batches = draw_batches(
        2 * ids[:, 0] + (ids[:, 0] != ids[:, 1]),
        batch_size=recipe.optim.batch_size,
        group_size=recipe.pairs.per_bed,
        rng=rng,
    )
    return (rows[batch] for batch in batches)


def _train_epoch(
    recipe: TowersRecipe,
    sources: tuple[TowerData, CaptionData | None],
    networks: TowerNetworks,
    optimiser: torch.optim.Optimizer,
    rows: Rows,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Train one epoch; return the mean of every loss over its steps."""
    networks.train()
    data, captions = sources
    sums: dict[str, float] = defaultdict(float)
    n = 0
    for chosen in _batches(recipe, data, rows, rng):
        batch = draw_batch(data, chosen, recipe.pairs.reversed, rng, recipe)
        if captions is not None:
            batch = add_concepts(batch, captions, rng)
        losses = compute_losses(networks, batch, data, recipe, with_events=True)
        if captions is not None:
            size = recipe.captions.batch_size
            losses["captions"] = draw_caption_loss(networks, captions, size, rng)
        total = total_loss(losses, recipe)
        if not torch.isfinite(total):
            raise DivergenceError(
                "the loss of the towers is not finite any more; a lower optim.learning_rate or a "
                "higher loss.temperature may help"
            )
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]  # by torch
        optimiser.step()
        n += 1
        for name, loss in (losses | {"loss": total}).items():
            sums[name] += float(loss.detach())
    return {name: value / n for name, value in sums.items()}


@torch.inference_mode()
def _validate(
    recipe: TowersRecipe, data: TowerData, networks: TowerNetworks, rows: Rows
) -> dict[str, float]:
    """Compute the loss of the validation pairs, with the same batches and texts every time."""
    networks.eval()
    rng = np.random.default_rng(0)
    total, n = 0.0, 0
    for chosen in _batches(recipe, data, rows, rng):
        batch = draw_batch(data, chosen, 0.0, rng, recipe)
        losses = compute_losses(networks, batch, data, recipe, with_events=False)
        total += float(total_loss(losses, recipe)) * len(chosen)
        n += len(chosen)
    return {"validation": total / n}


def _set_rate(optimiser: torch.optim.Optimizer, recipe: TowersRecipe, epoch: int) -> None:
    """Set the learning rate of an epoch."""
    rate = recipe.optim.learning_rate
    if recipe.optim.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * epoch / recipe.optim.epochs))
    for group in optimiser.param_groups:
        group["lr"] = rate
