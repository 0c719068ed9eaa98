"""Export of a checkpoint of towers into a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.bundle.files import Bundle, load_bundle, write_manifest
from service.bundle.manifest import KnownAnswer, TowersInfo, TowersTraining
from service.concurrency.durable import staged_folder
from service.errors import BundleError
from service.inference.encoder import Encoder
from service.inference.towers import AudioTower, TextEncoder, Towers, describe_sounds
from training.data.attribution import write_attribution
from training.data.manifest import SourceClip
from training.errors import CheckpointError
from training.export.export import with_files
from training.reports.cards import put_towers
from training.scenes.load import load_scenes
from training.towers.bank import EmbedTexts, make_bank, write_bank
from training.towers.evaluation.projector import TowerProjector
from training.towers.export.fingerprint import towers_fingerprint
from training.towers.export.gate import (
    TOLERANCE,
    TextEncoderGate,
    check_audio_tower,
    check_difference,
)
from training.towers.export.graphs import (
    TextModel,
    store_weights,
    write_audio_graph,
    write_difference_graph,
    write_text_graph,
)
from training.towers.export.sources import find_sources, summarise_sources
from training.towers.export.understanding import (
    LOWEST_AGREEMENT,
    UnderstandingGate,
    UnderstandingInputs,
)
from training.towers.networks import DifferenceModel
from training.towers.run import LoadedTowers, load_towers
from training.towers.text_cache import TextCache
from training.towers.text_encoder import TextEncoderNetwork
from training.towers.text_encoder_files import TOKENIZER

AUDIO_TOWER = "audio_tower.onnx"
DIFFERENCE = "difference.onnx"
TEXT_ENCODER = "text_encoder.onnx"
TEXT_BANK = "text_bank.json"
KNOWN_ANSWER = "towers_known_answer.npz"
KNOWN_TEXT = "like this, but with a dog barking in the distance"
ATTRIBUTION = "ATTRIBUTION.csv"
ROLE = "towers"  # in ATTRIBUTION.csv, of clips that only the towers were trained on
MAX_BYTES = 90_000_000
PRECISIONS = ("int8", "float16", "float32")  # the smallest first


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInputs:
    """Inputs of an export of towers, besides the checkpoint.

    Attributes:
        data: Manifest of the clips that the scenes were made of, for licences and authors.
        scenes: Folder of scenes to choose the text encoder's precision on, other than those that
            the towers were trained on.
        cache: Embeds texts with the text encoder that the towers were trained with.
        understanding: What tells the sounds and changes of a text; None for a bundle without.
        any_licence: Accept towers that were trained on clips that are not permissive.
    """

    data: Path
    scenes: Path
    cache: TextCache
    understanding: UnderstandingInputs | None = None
    any_licence: bool = False


def export_towers(checkpoint: Path, out: Path, inputs: ExportInputs) -> Path:
    """Put towers into a bundle; they replace those that it has.

    The bundle is changed only when all is complete and the graphs agree with the torch model.

    Args:
        checkpoint: Checkpoint of a training of towers.
        out: A bundle with the encoder that the towers were trained on.
        inputs: Further inputs.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: It is no bundle, has another encoder, or would become too large.
        CheckpointError: The checkpoint cannot be read, or is of another text encoder.
        DatasetError: A clip is not in the manifest, or the scenes are of another encoder.
        ExportParityError: An exported graph differs from the torch model.
        LicenceError: A clip of the training is not permissive.
    """
    loaded, bundle = load_towers(checkpoint), load_bundle(out)
    _check_identities(loaded, bundle, inputs.cache)
    clips = find_sources(loaded, inputs.data, any_licence=inputs.any_licence)
    with staged_folder(out, replace=True) as folder:
        shutil.copytree(out, folder, dirs_exist_ok=True)
        staged = Bundle(folder, bundle.manifest)
        info = _write_towers(staged, loaded, inputs, clips)
        _write_manifest(staged, info, clips)
        _check_served(load_bundle(folder))
    return out


def _check_identities(loaded: LoadedTowers, bundle: Bundle, cache: TextCache) -> None:
    found = bundle.manifest.encoder.fingerprint
    if loaded.encoder != found:
        raise BundleError(
            f"the towers were trained on the encoder {loaded.encoder[:16]}, {bundle.path} has "
            f"{found[:16]}; train them on this bundle"
        )
    if loaded.text_encoder != cache.files.sha256:
        raise CheckpointError(
            f"the towers were trained with another text encoder than {cache.files.folder} holds: "
            f"{loaded.text_encoder} is wanted, {cache.files.sha256} is there"
        )


def _check_served(bundle: Bundle) -> None:
    """Check the known answers of encoder and towers as the service does at its start."""
    Encoder.open(bundle, device="cpu").check(bundle)
    towers = Towers.open(bundle, device="cpu")
    assert towers is not None
    towers.check(bundle)


def _write_towers(
    staged: Bundle, loaded: LoadedTowers, inputs: ExportInputs, clips: Sequence[SourceClip]
) -> TowersInfo:
    """Write graphs, tokeniser, bank and known answer; compare each with the torch model."""
    shutil.copy(inputs.cache.files.folder / TOKENIZER, staged.file(TOKENIZER))
    write_audio_graph(loaded.networks.audio, staged.file(AUDIO_TOWER))
    model = _write_difference(staged, loaded)
    info = _describe(loaded, clips, inputs.understanding)
    if inputs.understanding is not None:
        inputs.understanding.write(staged, inputs.cache)
    scenes = load_scenes(inputs.scenes, loaded.encoder)
    audio = AudioTower.open(staged, info, device="cpu", threads=0)
    sample = np.concatenate([scenes.target[:100], scenes.events[:100]]).astype(np.float32)
    projector = TowerProjector(loaded.networks, inputs.cache)
    scores: dict[str, float | int | str] = {
        f"sha256 of the text encoder's {name}": value for name, value in loaded.text_encoder.items()
    }
    scores["audio_parity_with_torch"] = check_audio_tower(projector.project_audio, audio, sample)
    if model is not None:
        mixtures, references = (x[:100].astype(np.float32) for x in (scenes.target, scenes.query))
        deviation = check_difference(model, audio, mixtures, references)
        scores["difference_parity_with_torch"] = deviation
    gate = TextEncoderGate.of(scenes, loaded, inputs.cache)
    precision, text_scores = _write_text_encoder(staged, info, loaded, inputs, gate)
    info = info.model_copy(update={"text_precision": precision, "scores": scores | text_scores})
    encoder = TextEncoder.open(staged, info, device="cpu", threads=0)
    write_bank(staged.file(TEXT_BANK), make_bank(loaded.bank, _embedding(encoder)))
    _write_known_answer(staged, audio, encoder)
    return info


def _write_difference(staged: Bundle, loaded: LoadedTowers) -> DifferenceModel | None:
    """Write the graph of a trained difference, if the towers have one, or remove an earlier one."""
    if loaded.networks.difference is None:
        staged.file(DIFFERENCE).unlink(missing_ok=True)
        return None
    weight = staged.manifest.difference.reference_weight
    if loaded.reference_weight != weight:
        raise CheckpointError(
            f"the difference was trained with the reference weight {loaded.reference_weight}, "
            f"{staged.manifest.id} has {weight}; train the towers on this bundle"
        )
    model = DifferenceModel(loaded.networks, torch.from_numpy(staged.mean), weight).eval()
    write_difference_graph(model, staged.file(DIFFERENCE))
    return model


def _write_known_answer(staged: Bundle, audio: AudioTower, encoder: TextEncoder) -> None:
    with np.load(staged.file(staged.manifest.known_answer.file)) as known:
        embedding = known["embedding"]
    answer: dict[str, Any] = {
        "embedding": embedding,
        "text": np.array(KNOWN_TEXT),
        "audio_vector": audio.vectors(embedding[None])[0],
        "text_vector": _embedding(encoder)([KNOWN_TEXT])[0],
    }
    if audio.has_difference:
        answer["reference"] = reference = (embedding + staged.mean) / 2
        weight = staged.manifest.difference.reference_weight
        answer["difference_vector"] = audio.difference(embedding, reference, weight)
    np.savez(staged.file(KNOWN_ANSWER), **answer, **_known_understanding(encoder))


def _write_text_encoder(
    staged: Bundle,
    info: TowersInfo,
    loaded: LoadedTowers,
    inputs: ExportInputs,
    gate: TextEncoderGate,
) -> tuple[str, dict[str, float]]:
    """Write the text encoder in the fewest bits that pass the gate.

    Returns:
        The precision and the measurements.
    """
    float32, stored = staged.path / "float32.onnx", staged.file(TEXT_ENCODER)
    tagger = inputs.understanding.loaded.tagger if inputs.understanding else None
    model = TextModel(TextEncoderNetwork(inputs.cache.files), loaded.networks.text, tagger)
    write_text_graph(model, float32, loaded.recipe.text.max_tokens)
    sounds = UnderstandingGate.of(model, gate.texts, inputs.cache) if tagger else None
    shutil.copy(float32, stored)
    encoder = TextEncoder.open(staged, info, device="cpu", threads=0)
    scores = {"text_parity_with_torch": gate.check_float32(_embedding(encoder))}
    for precision in PRECISIONS:
        store_weights(float32, stored, precision)
        encoder = TextEncoder.open(staged, info, device="cpu", threads=0)
        measured = gate.measure(_embedding(encoder))
        if sounds is not None:
            measured["same_sounds"] = sounds.agreement(encoder)
        scores |= {f"{precision}_{name}": round(value, 6) for name, value in measured.items()}
        if gate.passes(measured) and measured.get("same_sounds", 1.0) >= LOWEST_AGREEMENT:
            break
    float32.unlink()
    return precision, scores


def _embedding(encoder: TextEncoder) -> EmbedTexts:
    """Return a function that encodes texts one by one, as the service does."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        encoded = [encoder.encode(text) for text in texts]
        return np.stack([each.vector for each in encoded if each is not None])

    return embed


def _known_understanding(encoder: TextEncoder) -> dict[str, Any]:
    """Return what a known answer holds of the sounds of its text; nothing without understanding."""
    encoded = encoder.encode(KNOWN_TEXT)
    if encoded is None or encoded.novelty is None:
        return {}
    sounds = np.array(describe_sounds(encoded.sounds), np.str_)
    return {"sounds": sounds, "unknown": np.array(encoded.novelty.probability)}


def _describe(
    loaded: LoadedTowers, clips: Sequence[SourceClip], understanding: UnderstandingInputs | None
) -> TowersInfo:
    recipe = loaded.recipe
    return TowersInfo(
        fingerprint=towers_fingerprint(loaded),
        dim=recipe.network.dim,
        audio_tower=AUDIO_TOWER,
        difference=DIFFERENCE if loaded.networks.difference else None,
        text_encoder=TEXT_ENCODER,
        text_precision="float32",
        tokenizer=TOKENIZER,
        max_tokens=recipe.text.max_tokens,
        text_bank=TEXT_BANK,
        known_answer=KnownAnswer(file=KNOWN_ANSWER, tolerance=TOLERANCE),
        training=TowersTraining(
            recipe=recipe.to_dict(),
            recipe_sha256=recipe.sha256(),
            commit=loaded.commit,
            pairs=loaded.pairs,
            data=summarise_sources(clips),
        ),
        scores={},
        understanding=understanding.describe() if understanding else None,
    )


def _write_manifest(staged: Bundle, info: TowersInfo, clips: Sequence[SourceClip]) -> None:
    """Check the size of the files, and write attribution, card and manifest."""
    size = sum(staged.file(name).stat().st_size for name in info.files)
    if size > MAX_BYTES:
        raise BundleError(
            f"the files of the towers have {size / 1e6:.0f} MB; {MAX_BYTES / 1e6:.0f} are allowed"
        )
    manifest = staged.manifest.model_copy(update={"towers": info})
    attribution = staged.file(ATTRIBUTION)
    write_attribution(attribution, {ROLE: clips}, attribution)
    put_towers(staged.path, info, clips)
    write_manifest(staged.path, with_files(staged.path, manifest))
