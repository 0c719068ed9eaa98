"""The training of the towers: epochs over cached embeddings, the best state kept."""

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
from training.towers.batches import draw_batches, split_pairs
from training.towers.data import TowerData
from training.towers.networks import Towers
from training.towers.recipe import TowersRecipe
from training.towers.step import draw_batch, measure_losses, total_loss

FEWEST_PAIRS = 4


@dataclass(slots=True)
class Trained:
    """What a training made.

    Attributes:
        towers: In the state with the lowest validation loss, in evaluation mode.
        epoch: Whose end that was, from 1; the last one where nothing was kept for validation.
        loss: The validation loss there; nan without validation.
        history: Mean of every loss over each epoch, with the validation's.
    """

    towers: Towers
    epoch: int = 0
    loss: float = math.nan
    history: list[dict[str, float]] = field(default_factory=list)


def train_towers(recipe: TowersRecipe, data: TowerData) -> Trained:
    """Train towers from the first step to the last.

    The same recipe on the same data gives the same towers; the global generators stay as they are.

    Raises:
        DatasetError: There are too few pairs.
        DivergenceError: A loss is not finite any more.
    """
    if len(data.beds) < FEWEST_PAIRS:
        raise DatasetError(f"{len(data.beds)} pairs are too few; {FEWEST_PAIRS} are needed")
    trained, validated = split_pairs(
        data.beds,
        share=recipe.pairs.validation,
        whole_beds=recipe.pairs.validate_by == "bed",
        seed=recipe.seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        towers = new_towers(recipe, data, trained)
        return _run(recipe, data.seen_by(towers.audio), towers, (trained, validated))


def new_towers(
    recipe: TowersRecipe, data: TowerData, rows: Int64[np.ndarray, " trained"]
) -> Towers:
    """Make untrained towers, with the statistics of the pairs they will be trained on."""
    texts = data.texts
    towers = Towers(
        data.clips.shape[1],
        texts.embeddings.shape[1],
        data.heard.shape[1],
        recipe.network,
        recipe.loss.temperature,
    )
    towers.log_temperature.requires_grad_(recipe.loss.learn_temperature)
    if recipe.network.standardise:
        heard = torch.unique(data.ends[torch.from_numpy(rows)])
        sounds = data.clips[heard]
        towers.audio.standardise(sounds)
        if recipe.network.components is not None:
            towers.audio.find_components(sounds)
        read = np.concatenate([texts.changes[rows], texts.clips[heard.numpy()]], axis=None)
        spoken: np.ndarray = np.array(sorted(set(read.tolist())))
        towers.text.standardise(torch.from_numpy(texts.embeddings[spoken]))
    return towers


def _run(
    recipe: TowersRecipe,
    data: TowerData,
    towers: Towers,
    rows: tuple[Int64[np.ndarray, " trained"], Int64[np.ndarray, " validated"]],
) -> Trained:
    optim = recipe.optim
    draw = np.random.default_rng(recipe.seed)
    parameters = [p for p in towers.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=optim.learning_rate, weight_decay=optim.weight_decay
    )
    kept = Trained(towers)
    best: dict[str, Tensor] | None = None
    for epoch in range(optim.epochs):
        _set_rate(optimiser, recipe, epoch)
        line = {"epoch": float(epoch + 1)}
        line |= _train_epoch(
            recipe, data, towers, optimiser, _batches(recipe, data, rows[0], draw), draw
        )
        if len(rows[1]) >= 2:
            line |= _validate(recipe, data, towers, rows[1])
        line["temperature"] = 1.0 / float(towers.scale.detach())
        kept.history.append(line)
        loss = line.get("validation", math.nan)
        if best is None or math.isnan(loss) or loss < kept.loss:
            kept.epoch, kept.loss = epoch + 1, loss
            best = copy.deepcopy(towers.state_dict())
    assert best is not None
    towers.load_state_dict(best)
    towers.eval().requires_grad_(False)
    return kept


def _batches(
    recipe: TowersRecipe,
    data: TowerData,
    rows: Int64[np.ndarray, " rows"],
    draw: np.random.Generator,
) -> Iterator[Int64[np.ndarray, " batch"]]:
    batches = draw_batches(
        data.beds[rows],
        batch_size=recipe.optim.batch_size,
        per_bed=recipe.pairs.per_bed,
        draw=draw,
    )
    return (rows[batch] for batch in batches)


def _train_epoch(
    recipe: TowersRecipe,
    data: TowerData,
    towers: Towers,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[Int64[np.ndarray, " batch"]],
    draw: np.random.Generator,
) -> dict[str, float]:
    towers.train()
    sums: dict[str, float] = defaultdict(float)
    n = 0
    for rows in batches:
        batch = draw_batch(data, rows, recipe.pairs.reversed, draw)
        losses = measure_losses(towers, batch, data, recipe, with_events=True)
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
    recipe: TowersRecipe, data: TowerData, towers: Towers, rows: Int64[np.ndarray, " validated"]
) -> dict[str, float]:
    """Measure the losses on the validation pairs: the same batches and texts every time."""
    towers.eval()
    draw = np.random.default_rng(0)
    total, n = 0.0, 0
    for chosen in _batches(recipe, data, rows, draw):
        batch = draw_batch(data, chosen, 0.0, draw)
        losses = measure_losses(towers, batch, data, recipe, with_events=False)
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
