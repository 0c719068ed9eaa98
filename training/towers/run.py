"""A training of towers from a folder of scenes to a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.bundle.files import Bundle
from training.errors import CheckpointError
from training.export.provenance import git_commit
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.scenes.load import SceneSet, load_scenes
from training.towers.data import gather
from training.towers.networks import Towers
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache
from training.towers.train import Trained, train_towers
from training.towers.vocabulary import Vocabulary

FORMAT = "towers-1"
CHECKPOINT = "checkpoint.pt"
ABOUT = "about.json"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class LoadedTowers:
    """Towers as a checkpoint holds them.

    Attributes:
        towers: In evaluation mode.
        recipe: They were trained by.
        vocabulary: The labels they know.
        encoder: Fingerprint of the audio encoder.
        text_encoder: sha256 of each file of the text encoder.
        data: What ``about.json`` of the scenes said.
        sources: Every clip that was heard, by its path in the manifest.
        pairs: How many there were.
        commit: Of the code.
    """

    towers: Towers
    recipe: TowersRecipe
    vocabulary: Vocabulary
    encoder: str
    text_encoder: dict[str, str]
    data: dict[str, Any]
    sources: list[str]
    pairs: int
    commit: str


def train_retrieval(
    recipe: TowersRecipe, scenes: Path, bundle: Bundle, out: Path, cache: TextCache
) -> Path:
    """Train towers on a folder of scenes and write their checkpoint and metrics.

    Args:
        recipe: Of the training.
        scenes: A training side, embedded by the bundle's encoder.
        bundle: Whose encoder the towers stand on.
        out: Folder of the run.
        cache: Embeds texts; of the recipe's text encoder.

    Returns:
        The checkpoint.

    Raises:
        DatasetError: The scenes are unfinished, or of another encoder.
        DivergenceError: A loss is not finite any more.
        TextEncoderError: The text encoder's files are missing or not the ones meant.
    """
    loaded = load_scenes(scenes, bundle.manifest.encoder.fingerprint)
    vocabulary = Vocabulary.of(loaded)
    trained = train_towers(recipe, gather(loaded, vocabulary, cache, recipe, bundle))
    out.mkdir(parents=True, exist_ok=True)
    lines = ({"step": int(line["epoch"])} | line for line in trained.history)
    (out / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    content = describe_run(recipe, trained, vocabulary, loaded)
    content |= {
        "encoder": bundle.manifest.encoder.fingerprint,
        "text_encoder": cache.files.sha256,
        "data": json.loads((scenes / ABOUT).read_text(encoding="utf-8")),
        "commit": git_commit(),
    }
    save_checkpoint(out / CHECKPOINT, content)
    return out / CHECKPOINT


def describe_run(
    recipe: TowersRecipe, trained: Trained, vocabulary: Vocabulary, scenes: SceneSet
) -> dict[str, Any]:
    """Collect what a checkpoint holds of the training itself."""
    return {
        "format": FORMAT,
        "recipe": recipe.to_dict(),
        "towers": trained.towers.state_dict(),
        "vocabulary": {
            "events": list(vocabulary.events),
            "backgrounds": list(vocabulary.backgrounds),
        },
        "epoch": trained.epoch,
        "pairs": len(scenes.pairs),
        "sources": sorted(set(_sources(scenes))),
    }


def load_towers(path: Path) -> LoadedTowers:
    """Read towers back.

    Raises:
        CheckpointError: The file cannot be read, or holds no towers.
    """
    content = load_checkpoint(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds no towers of format {FORMAT}")
    recipe = TowersRecipe.model_validate(content["recipe"])
    words = content["vocabulary"]
    vocabulary = Vocabulary(tuple(words["events"]), tuple(words["backgrounds"]))
    state = content["towers"]
    towers = Towers(
        len(state["audio.mean"]),
        len(state["text.mean"]),
        len(vocabulary.labels),
        recipe.network,
        recipe.loss.temperature,
    )
    towers.load_state_dict(state)
    return LoadedTowers(
        towers=towers.eval().requires_grad_(False),
        recipe=recipe,
        vocabulary=vocabulary,
        encoder=content["encoder"],
        text_encoder=content["text_encoder"],
        data=content["data"],
        sources=content["sources"],
        pairs=content["pairs"],
        commit=content["commit"],
    )


def _sources(scenes: SceneSet) -> Iterable[str]:
    for pair in scenes.pairs:
        for clip in (pair.query, pair.target):
            yield from (item.path for item in clip.items)
    yield from (row.path for row in scenes.event_rows)
