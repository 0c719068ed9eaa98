"""A training of understanding, from names of sounds to a checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from service.inference.novelty import NoveltyDetector
from service.inference.understanding import TAGS
from training.errors import CheckpointError
from training.export.provenance import git_commit
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.towers.text_cache import TextCache
from training.towers.understanding.evaluate_tagger import evaluate_tagger
from training.towers.understanding.novelty import train_novelty
from training.towers.understanding.recipe import UnderstandingRecipe
from training.towers.understanding.sounds import SoundNames
from training.towers.understanding.tagger import Tagger
from training.towers.understanding.tagger_data import draw_requests, draw_tests, tag_requests
from training.towers.understanding.train_tagger import train_tagger

FORMAT = "understanding-1"
CHECKPOINT = "checkpoint.pt"
SCORES = "scores.json"
SEED = 0


@dataclass(frozen=True, slots=True)
class LoadedUnderstanding:
    """Understanding as a checkpoint holds it.

    Attributes:
        tagger: The tagger, in evaluation mode.
        detector: The detector of unknown texts.
        recipe: Recipe of the training.
        text_encoder: sha256 of each file of the text encoder.
        scores: Accuracy on held-out names and phrasings.
        commit: Commit of the code.
    """

    tagger: Tagger
    detector: NoveltyDetector
    recipe: UnderstandingRecipe
    text_encoder: dict[str, str]
    scores: dict[str, float]
    commit: str


def train_understanding(
    recipe: UnderstandingRecipe, names: SoundNames, out: Path, cache: Path
) -> Path:
    """Train and measure the tagger and the detector, and write their checkpoint and scores.

    Args:
        recipe: Recipe of the training.
        names: Names of sounds.
        out: Folder of the run.
        cache: Folder of the embeddings and states of texts.

    Returns:
        The checkpoint.

    Raises:
        DivergenceError: A loss is not finite.
        TextEncoderError: The files of the text encoder are missing, or the weights have another
            hash.
    """
    texts = TextCache(cache / "texts", recipe.text)
    tagger, tagger_scores = _train_tagger(recipe, names, cache / "tokens")
    detector, novelty_scores = train_novelty(names, recipe.novelty, texts)
    out.mkdir(parents=True, exist_ok=True)
    scores = {"tagger": tagger_scores, "novelty": novelty_scores}
    (out / SCORES).write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    content = {
        "format": FORMAT,
        "recipe": recipe.to_dict(),
        "tags": list(TAGS),
        "tagger": tagger.state_dict(),
        "phrases": list(detector.phrases),
        "levels": torch.from_numpy(detector.levels),
        "weights": torch.from_numpy(detector.weights),
        "bias": detector.bias,
        "threshold": detector.threshold,
        "text_encoder": texts.files.sha256,
        "scores": _flatten(tagger_scores) | novelty_scores,
        "commit": git_commit(),
    }
    save_checkpoint(out / CHECKPOINT, content)
    return out / CHECKPOINT


def load_understanding(path: Path) -> LoadedUnderstanding:
    """Read a checkpoint.

    Raises:
        CheckpointError: The file cannot be read, holds no understanding, or has other tags.
    """
    content = load_checkpoint(path)
    if content.get("format") != FORMAT or content["tags"] != list(TAGS):
        raise CheckpointError(f"{path} holds no understanding of format {FORMAT} with these tags")
    state = content["tagger"]
    tagger = Tagger(state["entry.weight"].shape[1])
    tagger.load_state_dict(state)
    return LoadedUnderstanding(
        tagger=tagger.eval().requires_grad_(False),
        detector=NoveltyDetector(
            phrases=tuple(content["phrases"]),
            levels=content["levels"].numpy(),
            weights=content["weights"].numpy(),
            bias=content["bias"],
            threshold=content["threshold"],
        ),
        recipe=UnderstandingRecipe.model_validate(content["recipe"]),
        text_encoder=content["text_encoder"],
        scores=content["scores"],
        commit=content["commit"],
    )


def _train_tagger(
    recipe: UnderstandingRecipe, names: SoundNames, cache: Path
) -> tuple[Tagger, dict[str, dict[str, float]]]:
    """Train a tagger, and measure it on each set of test requests."""
    settings = recipe.tagger
    requests = draw_requests(names.seen, settings.requests, SEED)
    tagger = train_tagger(tag_requests(requests, recipe.text, cache), settings)
    measured = {}
    for name, tests in draw_tests(names, settings.tests).items():
        encoded = tag_requests(tests, recipe.text, cache).encoded
        measured[name] = evaluate_tagger(tagger, tests, encoded)
    return tagger, measured


def _flatten(measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """Join the names of sets and figures; only the figures over all changes are kept."""
    kept = ("exact", "directions_right", "sounds", "changes", "directions")
    return {f"{name}_{key}": scores[key] for name, scores in measured.items() for key in kept}
