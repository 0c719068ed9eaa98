"""The networks of the towers: adapters and linear layers over frozen encoders (paper, figure 3)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from training.towers.difference_network import DifferenceNetwork
from training.towers.recipe import NetworkRecipe

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 1.0
SMALLEST_STD = 1e-4
MAX_ROWS = 2_000
SMALLEST_WEIGHT = 0.05  # of a reference, for the strength of a correction
EXTRA_COMPONENTS = 16  # computed beyond those asked for, which become more exact


class TowerNetwork(nn.Module):
    """Maps the output of a frozen encoder into the common space.

    Adapter: ``h = W1 x``, ``LayerNorm(h + Dropout(W2 GELU(h)))``; then a linear layer.

    Args:
        n_inputs: Length of an embedding.
        recipe: Shape of the towers.
        unit: Whether the output has length 1.
        components: Number of principal components of the input that are used; None uses all
            values.

    Attributes:
        length: Factor of the output, so the length of a unit vector; 1 while it is trained (see
            ``training.towers.strength``).
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
        self.length = 1.0
        self.whiten, self.least_std = recipe.whiten, recipe.least_std

    def forward(self, embedding: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch dim"]:
        """Map embeddings, each row on its own."""
        return self.project(self.normalise(embedding))

    def normalise(self, embedding: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch used"]:
        """Standardise embeddings and take their components: the affine part, which is not trained.

        Differences of embeddings can be taken before or after it.
        """
        normalised = (embedding - self.mean) / self.std
        return normalised if self.basis is None else normalised @ self.basis.T

    def project(self, normalised: Float[Tensor, "batch used"]) -> Float[Tensor, "batch dim"]:
        """Map normalised embeddings into the common space."""
        hidden = self.entry(self.input_dropout(normalised))
        residual = self.dropout(self.residual(functional.gelu(hidden)))
        vector: Tensor = self.exit(self.norm(hidden + residual))
        vector = functional.normalize(vector, dim=-1) if self.unit else vector
        return vector if self.length == 1.0 else self.length * vector

    @torch.no_grad()
    def fit_statistics(self, sample: Float32[Tensor, "samples inputs"]) -> None:
        """Set mean and standard deviation of every input value to those of a sample."""
        self.mean.copy_(sample.double().mean(dim=0))
        std = sample.double().std(dim=0, correction=0)
        least = self.least_std * float(std.square().mean().sqrt())
        self.std.copy_(std.clamp(min=max(least, SMALLEST_STD)))

    @torch.no_grad()
    def fit_components(self, sample: Float32[Tensor, "samples inputs"]) -> None:
        """Set the basis to the principal components of a standardised sample.

        Uses up to 2,000 rows. Each component is divided by its standard deviation to the power of
        ``whiten``; then all of them are scaled together to a mean square of 1.
        """
        assert self.basis is not None
        rows = torch.linspace(0, len(sample) - 1, min(len(sample), MAX_ROWS)).long()
        scaled = (sample[rows] - self.mean) / self.std
        n = len(self.basis)
        rank = min(n + EXTRA_COMPONENTS, *scaled.shape)
        _, singular_values, directions = torch.svd_lowrank(scaled, q=rank, niter=4)
        std = (singular_values[:n] / math.sqrt(len(scaled))).clamp(min=SMALLEST_STD)
        self.basis.zero_()
        scale = 1.0 / (std ** (1.0 - self.whiten)).square().mean().sqrt()
        self.basis[: len(std)] = (scale * directions[:, :n] / std**self.whiten).T


class TowerNetworks(nn.Module):
    """Both towers, and a trained difference; temperature and label head are for training only.

    Args:
        n_audio: Length of an embedding of the audio encoder.
        n_text: Length of an embedding of the text encoder.
        n_labels: Outputs of the multi-label head.
        recipe: Shape of the towers.
        temperature: Temperature at the start.
    """

    def __init__(
        self, n_audio: int, n_text: int, n_labels: int, recipe: NetworkRecipe, temperature: float
    ) -> None:
        super().__init__()
        self.audio = TowerNetwork(
            n_audio, recipe, unit=recipe.unit != "none", components=recipe.components
        )
        self.text = TowerNetwork(n_text, recipe, unit=recipe.unit == "both")
        if recipe.unit == "audio":
            # Text vectors start at the length of audio vectors: longer ones dominate the query.
            with torch.no_grad():
                self.text.exit.weight.mul_(math.sqrt(3.0 / recipe.dim))
                self.text.exit.bias.zero_()
        self.labels = nn.Linear(recipe.dim, n_labels)
        self.difference = None
        if recipe.difference == "trained":
            n_used = recipe.components or n_audio
            self.difference = DifferenceNetwork(n_used, recipe.difference_width, recipe.dropout)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def subtract(
        self,
        mixture: Float[Tensor, "batch used"],
        reference: Float[Tensor, "batch used"],
        weight: float,
    ) -> Float[Tensor, "batch used"]:
        """Subtract references, relative to the mean, with the default weight; all normalised."""
        if self.difference is None:
            return mixture - weight * reference
        ones = torch.ones_like(mixture[:, :1])
        remainder: Tensor = self.difference(mixture, reference, weight * ones, ones)
        return remainder

    @property
    def scale(self) -> Float[Tensor, ""]:
        """Factor of the cosines in contrastive losses: 1 / temperature."""
        lowest, highest = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
        return torch.exp(-self.log_temperature.clamp(lowest, highest))


class DifferenceModel(nn.Module):
    """Maps a mixture without a reference into the common space, as a trained difference does it.

    Args:
        networks: Towers with a trained difference.
        mean: Mean embedding of the bundle [inputs].
        default_weight: Weight of the reference in the training.
    """

    mean: Tensor

    def __init__(
        self, networks: TowerNetworks, mean: Float32[Tensor, " inputs"], default_weight: float
    ) -> None:
        super().__init__()
        assert networks.difference is not None
        self.tower, self.difference = networks.audio, networks.difference
        self.register_buffer("mean", mean)
        self.default_weight = max(default_weight, SMALLEST_WEIGHT)

    def forward(
        self,
        mixture: Float[Tensor, "batch inputs"],
        reference: Float[Tensor, "batch inputs"],
        weight: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, "batch dim"]:
        """Map raw embeddings, each row on its own; `weight` is that of the reference."""
        mean = self.tower.normalise(self.mean[None])
        normalised = self.tower.normalise(mixture)
        relative = self.tower.normalise(reference) - mean
        strength = weight / self.default_weight
        return self.tower.project(self.difference(normalised, relative, weight, strength))


def compose_query(
    audio: Float[Tensor, "*batch dim"] | None,
    text: Float[Tensor, "*batch dim"] | None,
    strength: float = 1.0,
) -> Float[Tensor, "*batch dim"]:
    """Compose a query, l2(audio + strength * text); a term that is None is left out.

    Raises:
        ValueError: Both are None.
    """
    terms = [audio, None if text is None else strength * text]
    present = [term for term in terms if term is not None]
    if not present:
        raise ValueError("a query needs audio or text")
    total = present[0] if len(present) == 1 else present[0] + present[1]
    return functional.normalize(total, dim=-1)
