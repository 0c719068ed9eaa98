"""A training of towers from a folder of scenes to a checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.bundle.files import Bundle
from training.errors import CheckpointError
from training.export.provenance import git_commit
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint
from training.scenes.folder import ABOUT_FILE
from training.scenes.load import load_scenes
from training.towers.bank import BankEntry, concept_entries, label_entries
from training.towers.captions.data import CaptionData
from training.towers.captions.reliability import measure_reliability
from training.towers.data import TowerData, build_tower_data
from training.towers.networks import TowerNetworks
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache
from training.towers.train import train_towers
from training.towers.vocabulary import Vocabulary

FORMAT = "towers-1"
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class LoadedTowers:
    """Towers as a checkpoint holds them.

    Attributes:
        networks: The networks, in evaluation mode.
        recipe: Recipe of the training.
        vocabulary: Labels of the training.
        bank: The phrases of the text bank.
        encoder: Fingerprint of the audio encoder.
        text_encoder: sha256 of each file of the text encoder.
        data: Content of ``about.json`` of the scenes.
        sources: Path in the manifest of every clip that the pairs were made of.
        pairs: Number of pairs.
        reference_weight: Weight of a reference in the loss on differences; None in checkpoints of
            earlier versions.
        commit: Commit of the code.
    """

    networks: TowerNetworks
    recipe: TowersRecipe
    vocabulary: Vocabulary
    bank: list[BankEntry]
    encoder: str
    text_encoder: dict[str, str]
    data: dict[str, Any]
    sources: list[str]
    pairs: int
    commit: str
    reference_weight: float | None = None


def train_retrieval(
    recipe: TowersRecipe,
    scenes: Path,
    bundle: Bundle,
    out: Path,
    cache: TextCache,
    *,
    captions: Path | None = None,
) -> Path:
    """Train towers on a folder of scenes and write their checkpoint and metrics.

    Args:
        recipe: Recipe of the training.
        scenes: Scenes of a training side, embedded by the bundle's encoder.
        bundle: Bundle with the encoder.
        out: Folder of the run.
        cache: Embeds texts with the recipe's text encoder.
        captions: Folder of windows with captions; needed if the recipe gives their loss a weight.

    Returns:
        The checkpoint.

    Raises:
        DatasetError: The scenes are unfinished, or of another encoder.
        DivergenceError: A loss is not finite any more.
        TextEncoderError: The files of the text encoder are missing, or the weights have another
            hash.
    """
    fingerprint = bundle.manifest.encoder.fingerprint
    loaded = load_scenes(scenes, fingerprint)
    vocabulary = Vocabulary.of(loaded)
    data = build_tower_data(loaded, vocabulary, cache, recipe, bundle)
    windows = None
    if captions is not None and recipe.loss.captions > 0:
        windows = CaptionData.load(captions, fingerprint, cache, vocabulary.labels)
    trained = train_towers(recipe, data, windows)
    bank = _bank(recipe, data, windows, vocabulary)
    out.mkdir(parents=True, exist_ok=True)
    lines = ({"step": int(line["epoch"])} | line for line in trained.history)
    (out / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    content = {
        "format": FORMAT,
        "recipe": recipe.to_dict(),
        "towers": trained.networks.state_dict(),
        "text_length": trained.networks.text.length,
        "reference_weight": bundle.manifest.difference.reference_weight,
        "vocabulary": {
            "events": list(vocabulary.events),
            "backgrounds": list(vocabulary.backgrounds),
        },
        "bank": [asdict(entry) for entry in bank],
        "epoch": trained.epoch,
        "pairs": len(loaded.pairs),
        "sources": sorted(
            {item.path for pair in loaded.pairs for item in pair.items}
            | {row.path for row in loaded.event_rows}
            | set(windows.paths if windows is not None else ())
        ),
        "encoder": bundle.manifest.encoder.fingerprint,
        "text_encoder": cache.files.sha256,
        "data": read_about(scenes),
        "commit": git_commit(),
    }
    save_checkpoint(out / CHECKPOINT, content)
    return out / CHECKPOINT


def _bank(
    recipe: TowersRecipe, data: TowerData, windows: CaptionData | None, vocabulary: Vocabulary
) -> list[BankEntry]:
    """List the phrases of the bank; with captions, those that are reliable.

    The towers of a baseline have no use for reliabilities.
    """
    if windows is None or recipe.network.query != "both":
        return label_entries(vocabulary)
    reliability = measure_reliability(
        windows, lambda part: train_towers(recipe, data, part).networks
    )
    lowest = recipe.captions.lowest_reliability
    return concept_entries(windows.concepts, vocabulary, reliability, lowest)


def read_about(scenes: Path) -> dict[str, Any]:
    """Read ``about.json`` of a folder of scenes."""
    about: dict[str, Any] = json.loads((scenes / ABOUT_FILE).read_text(encoding="utf-8"))
    return about


def load_towers(path: Path) -> LoadedTowers:
    """Read the towers of a checkpoint.

    Raises:
        CheckpointError: The file cannot be read, or holds no towers.
    """
    content = load_checkpoint(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds no towers of format {FORMAT}")
    recipe = TowersRecipe.model_validate(content["recipe"])
    labels = content["vocabulary"]
    vocabulary = Vocabulary(tuple(labels["events"]), tuple(labels["backgrounds"]))
    state = content["towers"]
    networks = TowerNetworks(
        len(state["audio.mean"]),
        len(state["text.mean"]),
        len(vocabulary.labels),
        recipe.network,
        recipe.loss.temperature,
    )
    networks.load_state_dict(state)
    networks.text.length = content.get("text_length", 1.0)
    return LoadedTowers(
        networks=networks.eval().requires_grad_(False),
        recipe=recipe,
        vocabulary=vocabulary,
        bank=_read_bank(content, vocabulary),
        encoder=content["encoder"],
        text_encoder=content["text_encoder"],
        data=content["data"],
        sources=content["sources"],
        pairs=content["pairs"],
        commit=content["commit"],
        reference_weight=content.get("reference_weight"),
    )


def _read_bank(content: dict[str, Any], vocabulary: Vocabulary) -> list[BankEntry]:
    """Read the phrases of a checkpoint; earlier ones list the labels only."""
    if "bank" not in content:
        return label_entries(vocabulary)
    return [BankEntry(**entry | {"texts": tuple(entry["texts"])}) for entry in content["bank"]]
