"""Training and calibration of the detector of texts that name no known sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from service.difference import l2_normalize
from service.inference.novelty import NoveltyDetector, features, round_embeddings
from service.inference.tokenizer import Tokenizer
from training.towers.text_cache import TextCache
from training.towers.text_encoder_files import TOKENIZER
from training.towers.understanding.recipe import NoveltyRecipe
from training.towers.understanding.sounds import SoundNames
from training.towers.understanding.unknown_texts import draw_unknown_texts
from training.words.requests import vary_sound

SEED = 0
SHORTEST_WORD = 4  # of the words of random sentences
SMALLEST_STD = 1e-6
LANGUAGE = "language_"  # kinds of unknown texts whose names begin with it


@dataclass(frozen=True, slots=True)
class _Regression:
    """A logistic regression on features that are not standardised."""

    weights: Float64[np.ndarray, " features"]
    bias: float

    def probabilities(
        self, rows: Float32[np.ndarray, "texts features"]
    ) -> Float64[np.ndarray, " texts"]:
        """Return the probability of each row that it is unknown."""
        probabilities: np.ndarray = 1 / (
            1 + np.exp(-np.clip(rows @ self.weights + self.bias, -50, 50))
        )
        return probabilities


@dataclass(frozen=True, slots=True)
class _Data:
    """Features of the texts of a training: known, held-out known, and unknown with their kinds."""

    known: Float32[np.ndarray, "known features"]
    held_out: Float32[np.ndarray, "held_out features"]
    unknown: Float32[np.ndarray, "unknown features"]
    kinds: NDArray[np.str_]


def train_novelty(
    names: SoundNames, recipe: NoveltyRecipe, cache: TextCache
) -> tuple[NoveltyDetector, dict[str, float]]:
    """Train a detector whose known phrases are the seen names, and measure it.

    A regression without one kind of unknown texts flags a share of just this kind: so every kind is
    measured as one that was never seen.

    Args:
        names: Names of sounds; the threshold is set on the held-out ones.
        recipe: Settings.
        cache: Embeds texts.

    Returns:
        The detector, and its figures: ``known_flagged``, the share of texts of held-out names that
        are flagged; ``unknown_flagged``, the mean share over the kinds of unknown texts, each left
        out of the training, where all languages together count as one kind; and the share of each
        kind.
    """
    bank = round_embeddings(cache.embed(names.seen))
    data = _draw_data(names, bank, recipe, cache)
    figures = {}
    for kind in dict.fromkeys(data.kinds.tolist()):
        left_out = data.kinds == kind
        regression = _fit(data, ~left_out, recipe.penalty)
        threshold = _threshold(regression, data, recipe)
        flagged = regression.probabilities(data.unknown[left_out]) > threshold
        figures[kind] = float(flagged.mean())
    regression = _fit(data, np.ones(len(data.kinds), bool), recipe.penalty)
    threshold = _threshold(regression, data, recipe)
    weights = regression.weights.astype(np.float32)
    detector = NoveltyDetector(names.seen, bank, weights, regression.bias, threshold)
    flagged = regression.probabilities(data.held_out) > threshold
    measured = {
        "known_flagged": float(flagged.mean()),
        "unknown_flagged": _mean_over_kinds(figures),
    }
    return detector, {name: round(value, 4) for name, value in (measured | figures).items()}


def _mean_over_kinds(figures: dict[str, float]) -> float:
    languages = [share for kind, share in figures.items() if kind.startswith(LANGUAGE)]
    others = [share for kind, share in figures.items() if not kind.startswith(LANGUAGE)]
    return float(np.mean([*others, np.mean(languages)]))


def _draw_data(
    names: SoundNames,
    bank: Int8[np.ndarray, "phrases hidden"],
    recipe: NoveltyRecipe,
    cache: TextCache,
) -> _Data:
    tokenizer = Tokenizer(cache.files.folder / TOKENIZER, cache.max_tokens)
    rng = np.random.default_rng(SEED)
    seen = [(name, row) for row, name in enumerate(names.seen)]
    seen += [(vary_sound(name, rng), row) for row, name in enumerate(names.seen)]
    held_out = [*names.held_out, *(vary_sound(name, rng) for name in names.held_out)]
    drawn = draw_unknown_texts(tokenizer.whole_words(SHORTEST_WORD), recipe.generated, SEED)
    unknown = [(kind, text) for kind, texts in drawn.items() for text in texts]
    extract = partial(_extract, bank=bank, tokenizer=tokenizer, cache=cache)
    return _Data(
        known=extract([text for text, _ in seen], own=[row for _, row in seen]),
        held_out=extract(held_out),
        unknown=extract([text for _, text in unknown]),
        kinds=np.array([kind for kind, _ in unknown]),
    )


def _extract(
    texts: Sequence[str],
    *,
    bank: Int8[np.ndarray, "phrases hidden"],
    tokenizer: Tokenizer,
    cache: TextCache,
    own: Sequence[int] | None = None,
) -> Float32[np.ndarray, "texts features"]:
    """Return the features of texts.

    Args:
        texts: The texts.
        bank: Embeddings of the known phrases.
        tokenizer: Splits the texts.
        cache: Embeds the texts.
        own: The known phrase that each text is about, which is then none of its neighbours.
    """
    embeddings = cache.embed(texts)
    cosines = l2_normalize(embeddings) @ l2_normalize(bank.astype(np.float32)).T
    if own is not None:
        cosines[np.arange(len(texts)), own] = -1.0
    tokens = (tokenizer.tokenize(text) for text in texts)
    return np.stack(
        [features(*row) for row in zip(texts, tokens, embeddings, cosines, strict=True)]
    )


def _fit(data: _Data, used: Bool[np.ndarray, " unknown"], penalty: float) -> _Regression:
    """Fit a regression in which known and unknown texts, and all kinds of these, weigh the same."""
    unknown, kinds = data.unknown[used], data.kinds[used]
    rows = np.concatenate([data.known, unknown]).astype(np.float64)
    signs = np.repeat([-1.0, 1.0], [len(data.known), len(unknown)])
    _, numbers, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    share = np.full(len(data.known), 1 / len(data.known))
    shares = np.concatenate([share, 1 / counts[numbers] / len(counts)]) / 2
    mean, std = rows.mean(axis=0), rows.std(axis=0) + SMALLEST_STD
    rows = (rows - mean) / std

    def loss(values: Float64[np.ndarray, " n"]) -> tuple[float, Float64[np.ndarray, " n"]]:
        weights, margins = values[:-1], signs * (rows @ values[:-1] + values[-1])
        slopes = -shares * signs * expit(-margins)
        total = shares @ np.logaddexp(0, -margins) + penalty * weights @ weights
        return total, np.append(slopes @ rows + 2 * penalty * weights, slopes.sum())

    fitted = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = fitted[:-1] / std
    return _Regression(weights, float(fitted[-1] - weights @ mean))


def _threshold(regression: _Regression, data: _Data, recipe: NoveltyRecipe) -> float:
    """Return the probability above which the allowed share of held-out names lies."""
    probabilities = regression.probabilities(data.held_out)
    return float(np.quantile(probabilities, 1 - recipe.known_flagged, method="higher"))
