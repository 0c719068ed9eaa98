"""From a checkpoint of towers to a bundle that has them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.bundle.files import MANIFEST_FILE, Bundle, hash_file, load_bundle, write_manifest
from service.bundle.manifest import KnownAnswer, TowersInfo, TowersTraining
from service.errors import BundleError
from service.inference.encoder import Encoder
from service.inference.towers import AudioTower, TextEncoder, Towers
from training.data.attribution import write_attribution
from training.data.manifest import SourceClip
from training.errors import CheckpointError
from training.reports.cards import put_towers
from training.scenes.load import load_scenes
from training.towers.bank import TextVectors, make_bank, write_bank
from training.towers.export.fingerprint import fingerprint
from training.towers.export.gate import TOLERANCE, Gate, check_audio
from training.towers.export.graphs import (
    TextModel,
    store_weights,
    write_audio_graph,
    write_text_graph,
)
from training.towers.files import TOKENIZER
from training.towers.run import LoadedTowers, load_towers
from training.towers.sources import describe_sources, find_sources
from training.towers.text_cache import TextCache
from training.towers.text_encoder import TextEncoder as TorchTextEncoder
from training.towers.vectors import TowerVectors

AUDIO_TOWER = "audio_tower.onnx"
TEXT_ENCODER = "text_encoder.onnx"
TOKENIZER_FILE = "tokenizer.json"
TEXT_BANK = "text_bank.json"
KNOWN_ANSWER = "towers_known_answer.npz"
KNOWN_TEXT = "like this, but with a dog barking in the distance"
ATTRIBUTION = "ATTRIBUTION.csv"
ROLE = "towers"  # of a clip that the towers heard and the encoder did not
MOST_BYTES = 90_000_000
PRECISIONS = ("int8", "float16", "float32")  # the smallest first


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportInputs:
    """What an export of towers needs beside the checkpoint.

    Attributes:
        data: Manifest of the clips that the scenes were made of, for licences and authors.
        scenes: Folder of scenes to choose the text encoder's precision on, other than those that
            the towers were trained on.
        cache: Embeds texts; of the text encoder that the towers were trained with.
        any_licence: Export towers that were trained on clips that are not permissive, too.
    """

    data: Path
    scenes: Path
    cache: TextCache
    any_licence: bool = False


def export_towers(checkpoint: Path, out: Path, inputs: ExportInputs) -> Path:
    """Put towers into a bundle, in the place of those it may have.

    The bundle is changed only when all is complete and the graphs give what the torch model gives.

    Args:
        checkpoint: Of a training of towers.
        out: A bundle with the encoder that the towers were trained on.
        inputs: What else is needed.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: It is no bundle, has another encoder, or would become too large.
        CheckpointError: The checkpoint cannot be read, or is of another text encoder.
        DatasetError: The manifest does not know a clip, or the scenes are of another encoder.
        ExportParityError: An exported graph differs from the torch model.
        LicenceError: A clip that was heard is not permissive.
    """
    loaded, bundle = load_towers(checkpoint), load_bundle(out)
    _check_identities(loaded, bundle, inputs.cache)
    clips = find_sources(loaded, inputs.data, any_licence=inputs.any_licence)
    staged = Bundle(out.with_name(out.name + ".partial"), bundle.manifest)
    shutil.rmtree(staged.path, ignore_errors=True)
    shutil.copytree(out, staged.path)
    info = _write_towers(staged, loaded, inputs, clips)
    _finish(staged, info, clips)
    finished = load_bundle(staged.path)
    Encoder.open(finished, device="cpu").check(finished)
    towers = Towers.open(finished, device="cpu")
    assert towers is not None
    towers.check(finished)
    shutil.rmtree(out)
    staged.path.rename(out)
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


def _write_towers(
    staged: Bundle, loaded: LoadedTowers, inputs: ExportInputs, clips: Sequence[SourceClip]
) -> TowersInfo:
    """Write graphs, tokeniser, bank and known answer, each held to the torch model."""
    shutil.copy(inputs.cache.files.folder / TOKENIZER, staged.file(TOKENIZER_FILE))
    write_audio_graph(loaded.towers.audio, staged.file(AUDIO_TOWER))
    info = _describe(loaded, clips)
    scenes = load_scenes(inputs.scenes, loaded.encoder)
    audio = AudioTower.open(staged, info, device="cpu", threads=0)
    sample = np.concatenate([scenes.target[:100], scenes.events[:100]]).astype(np.float32)
    expected = TowerVectors(loaded.towers, inputs.cache)
    scores: dict[str, float | int | str] = {
        f"sha256 of the text encoder's {name}": value for name, value in loaded.text_encoder.items()
    }
    scores["audio_parity_with_torch"] = check_audio(expected.audio, audio, sample)
    gate = Gate.of(scenes, loaded, inputs.cache)
    precision, found = _write_text_encoder(staged, info, loaded, inputs, gate)
    info = info.model_copy(update={"text_precision": precision, "scores": scores | found})
    encode = _vectors_of(staged, info)
    write_bank(staged.file(TEXT_BANK), make_bank(loaded.vocabulary, encode))
    with np.load(staged.file(staged.manifest.known_answer.file)) as known:
        embedding = known["embedding"]
    np.savez(
        staged.file(KNOWN_ANSWER),
        embedding=embedding,
        text=np.array(KNOWN_TEXT),
        audio_vector=audio.vectors(embedding[None])[0],
        text_vector=encode([KNOWN_TEXT])[0],
    )
    return info


def _write_text_encoder(
    staged: Bundle, info: TowersInfo, loaded: LoadedTowers, inputs: ExportInputs, gate: Gate
) -> tuple[str, dict[str, float]]:
    """Write the text encoder in the fewest bits that pass the gate; say what was measured."""
    whole, stored = staged.path / "whole.onnx", staged.file(TEXT_ENCODER)
    model = TextModel(TorchTextEncoder(inputs.cache.files), loaded.towers.text)
    write_text_graph(model, whole, loaded.recipe.text.max_tokens)
    shutil.copy(whole, stored)
    scores = {"text_parity_with_torch": gate.check_text(_vectors_of(staged, info))}
    for precision in PRECISIONS:
        store_weights(whole, stored, precision)
        measured = gate.measure(_vectors_of(staged, info))
        scores |= {f"{precision}_{name}": round(value, 6) for name, value in measured.items()}
        if gate.passes(measured):
            break
    whole.unlink()
    return precision, scores


def _vectors_of(staged: Bundle, info: TowersInfo) -> TextVectors:
    """Encode texts as the service does, one by one."""
    encoder = TextEncoder.open(staged, info, device="cpu", threads=0)

    def encode(texts: Sequence[str]) -> np.ndarray:
        found = [encoder.encode(text) for text in texts]
        return np.stack([each.vector for each in found if each is not None])

    return encode


def _describe(loaded: LoadedTowers, clips: Sequence[SourceClip]) -> TowersInfo:
    recipe = loaded.recipe
    return TowersInfo(
        fingerprint=fingerprint(loaded),
        dim=recipe.network.dim,
        audio_tower=AUDIO_TOWER,
        text_encoder=TEXT_ENCODER,
        text_precision="float32",
        tokenizer=TOKENIZER_FILE,
        max_tokens=recipe.text.max_tokens,
        text_bank=TEXT_BANK,
        known_answer=KnownAnswer(file=KNOWN_ANSWER, tolerance=TOLERANCE),
        training=TowersTraining(
            recipe=recipe.to_dict(),
            recipe_sha256=recipe.sha256(),
            commit=loaded.commit,
            pairs=loaded.pairs,
            data=describe_sources(clips),
        ),
        scores={},
    )


def _finish(staged: Bundle, info: TowersInfo, clips: Sequence[SourceClip]) -> None:
    """Weigh the files, and write card, attribution and manifest."""
    size = sum(staged.file(name).stat().st_size for name in info.files)
    if size > MOST_BYTES:
        raise BundleError(
            f"the files of the towers have {size / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} are allowed"
        )
    manifest = staged.manifest.model_copy(update={"towers": info})
    attribution = staged.file(ATTRIBUTION)
    write_attribution(attribution, {ROLE: clips}, attribution)
    put_towers(staged.path, info, clips)
    names = sorted(path.name for path in staged.path.iterdir() if path.name != MANIFEST_FILE)
    files = {name: hash_file(staged.file(name)) for name in names}
    write_manifest(staged.path, manifest.model_copy(update={"files": files}))
