"""The towers: adapters and linear layers over frozen encoders (paper, figure 3)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from training.towers.recipe import NetworkRecipe

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 1.0
SMALLEST_STD = 1e-4
MOST_ROWS = 2_000
SPARE = 16  # components beyond those asked for, which make these more exact


class Tower(nn.Module):
    """From the output of a frozen encoder into the common space.

    Adapter: ``h = W1 x``, ``LayerNorm(h + Dropout(W2 GELU(h)))``; then a linear layer.

    Args:
        n_inputs: Length of an embedding.
        recipe: Shape of the towers.
        unit: Whether the output has length 1.
        components: Principal components that are seen of the input; None for all of it.
    """

    mean: Tensor
    std: Tensor
    basis: Tensor | None

    def __init__(
        self,
        n_inputs: int,
        recipe: NetworkRecipe,
        *,
        unit: bool,
        components: int | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("std", torch.ones(n_inputs))
        basis = None if components is None else torch.eye(components, n_inputs)
        self.register_buffer("basis", basis)
        self.input_dropout = nn.Dropout(recipe.input_dropout)
        self.entry = nn.Linear(components or n_inputs, recipe.width)
        self.residual = nn.Linear(recipe.width, recipe.width)
        self.dropout = nn.Dropout(recipe.dropout)
        self.norm = nn.LayerNorm(recipe.width)
        self.exit = nn.Linear(recipe.width, recipe.dim)
        self.unit = unit
        self.whiten = recipe.whiten

    def forward(self, embedding: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch dim"]:
        """Map embeddings, each row on its own."""
        return self.place(self.see(embedding))

    def see(self, embedding: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch seen"]:
        """Standardise embeddings and take their components: all that is not trained, and affine."""
        seen = (embedding - self.mean) / self.std
        return seen if self.basis is None else seen @ self.basis.T

    def place(self, seen: Float[Tensor, "batch seen"]) -> Float[Tensor, "batch dim"]:
        """Map what is seen of embeddings into the common space."""
        entered = self.entry(self.input_dropout(seen))
        residual = self.dropout(self.residual(functional.gelu(entered)))
        vector: Tensor = self.exit(self.norm(entered + residual))
        return functional.normalize(vector, dim=-1) if self.unit else vector

    @torch.no_grad()
    def standardise(self, sample: Float32[Tensor, "samples inputs"]) -> None:
        """Take mean and standard deviation of every input value from a sample."""
        self.mean.copy_(sample.double().mean(dim=0))
        self.std.copy_(sample.double().std(dim=0, correction=0).clamp(min=SMALLEST_STD))

    @torch.no_grad()
    def find_components(self, sample: Float32[Tensor, "samples inputs"]) -> None:
        """Take the basis from the principal components of a standardised sample.

        Up to 2,000 rows are looked at. Each component is divided by its standard deviation to the
        power of ``whiten``, and all of them brought to a mean square of 1 together.
        """
        assert self.basis is not None
        rows = torch.linspace(0, len(sample) - 1, min(len(sample), MOST_ROWS)).long()
        scaled = (sample[rows] - self.mean) / self.std
        n = len(self.basis)
        _, spread, directions = torch.svd_lowrank(scaled, q=min(n + SPARE, *scaled.shape), niter=4)
        std = (spread[:n] / math.sqrt(len(scaled))).clamp(min=SMALLEST_STD)
        self.basis.zero_()
        kept = std ** (1.0 - self.whiten)
        scale = 1.0 / kept.square().mean().sqrt()
        self.basis[: len(std)] = (scale * directions[:, :n] / std**self.whiten).T


class Towers(nn.Module):
    """Both towers, and what only training needs: the temperature and the head for labels.

    Args:
        n_audio: Length of an embedding of the audio encoder.
        n_text: Length of an embedding of the text encoder.
        n_labels: Outputs of the multi-label head.
        recipe: Shape of the towers.
        temperature: At the start.
    """

    def __init__(
        self, n_audio: int, n_text: int, n_labels: int, recipe: NetworkRecipe, temperature: float
    ) -> None:
        super().__init__()
        self.audio = Tower(
            n_audio, recipe, unit=recipe.unit != "none", components=recipe.components
        )
        self.text = Tower(n_text, recipe, unit=recipe.unit == "both")
        if recipe.unit == "audio":
            # A text begins as long as a sound: one far longer is all that a query ever hears.
            with torch.no_grad():
                self.text.exit.weight.mul_(math.sqrt(3.0 / recipe.dim))
                self.text.exit.bias.zero_()
        self.labels = nn.Linear(recipe.dim, n_labels)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What cosines are multiplied by in contrastive losses: 1 / temperature."""
        lowest, highest = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
        return torch.exp(-self.log_temperature.clamp(lowest, highest))


def compose(
    audio: Float[Tensor, "*batch dim"] | None,
    text: Float[Tensor, "*batch dim"] | None,
    strength: float = 1.0,
) -> Float[Tensor, "*batch dim"]:
    """Compose a query, l2(audio + strength * text); a term that is None is left out.

    Raises:
        ValueError: Both are None.
    """
    if audio is None and text is None:
        raise ValueError("a query needs audio or text")
    if text is None or audio is None:
        total = audio if audio is not None else strength * text if text is not None else None
        assert total is not None
    else:
        total = audio + strength * text
    return functional.normalize(total, dim=-1)
