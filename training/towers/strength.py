"""The length of text vectors: how much a text weighs against a sound at strength 1."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64

from training.towers.data import TowerData
from training.towers.networks import TowerNetworks, compose_query

LARGEST_LOSS = 0.01  # of the mean reciprocal rank over the same recordings
STRENGTHS = tuple(round(float(value), 2) for value in np.geomspace(0.5, 2.0, 13))


@torch.inference_mode()
def fit_strength(
    networks: TowerNetworks, data: TowerData, rows: Int64[np.ndarray, " rows"]
) -> float:
    """Choose the strength that suits targets over the same and over other recordings.

    Every query, l2(audio + strength * text), is searched for among the targets of all pairs, and
    the mean reciprocal rank of the own target is taken over the pairs of each situation. Of the
    strengths at which the one over the same recordings is at most 0.01 below its best, the one
    that is best over other recordings is chosen, or over the same, if there are no others.

    Args:
        networks: Trained towers, in evaluation mode.
        data: Data of the training, normalised by the audio tower.
        rows: Pairs that were not trained on.

    Returns:
        The best of 13 strengths from 0.5 to 2.
    """
    pairs = torch.from_numpy(rows)
    query, target = data.pair_clips[pairs, 0], data.pair_clips[pairs, 1]
    audio = networks.audio.project(data.clips[query])
    texts = torch.from_numpy(data.texts.embeddings[data.texts.changes[rows, 0]])
    text = networks.text(texts)
    candidates, own = torch.unique(target, return_inverse=True)
    items = compose_query(networks.audio.project(data.clips[candidates]), None)
    is_query = candidates[None, :] == query[:, None]
    is_other = data.background_ids[rows, 0] != data.background_ids[rows, 1]
    groups = [torch.from_numpy(group) for group in (~is_other, is_other)]
    same, other = (dict[float, float]() for _ in groups)
    for strength in STRENGTHS:
        cosines = (compose_query(audio, text, strength) @ items.T).masked_fill(is_query, -torch.inf)
        ranks = 1 + (cosines > cosines.gather(1, own[:, None])).sum(dim=1)
        reciprocal = 1.0 / ranks.double()
        for found, group in zip((same, other), groups, strict=True):
            found[strength] = float(reciprocal[group].mean()) if group.any() else 0.0
    least = max(same.values()) - LARGEST_LOSS
    allowed = [strength for strength in STRENGTHS if same[strength] >= least]
    return max(allowed, key=lambda strength: (other[strength], same[strength]))
