"""All protocols on one or several bundles, over the same clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from service.bundle.files import hash_file
from training.data.manifest import SourceClip, read_clips
from training.data.store import ClipStore, open_store
from training.errors import DatasetError
from training.evaluation.embeddings import hash_parts
from training.evaluation.encoders import describe_bundle
from training.evaluation.words import (
    composition,
    example,
    negation,
    subtraction,
    text_only,
    unknown,
)
from training.evaluation.words.items import Collection, clip_id, item_of, judged, unseen_by_all
from training.evaluation.words.scenes import (
    EVENTS,
    SNR_LU,
    Partners,
    draw_scenes,
    event_items,
    render,
    scene_clips,
    scene_items,
)
from training.evaluation.words.search import Search
from training.evaluation.words.served import ServedLibrary, Service
from training.evaluation.words.tables import (
    hash_tables,
    list_requests,
    list_texts,
    scene_table,
)
from training.results import put_row

RESULTS = "words.json"
VERSION = 1  # to be raised when a protocol changes otherwise than by its tables
MAX_UNREADABLE = 0.02


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The clips and mixtures of a measurement.

    Attributes:
        clips: The unseen clips whose labels say what is heard.
        store: The decoded clips of the mixtures.
        partners: The mixtures.
        identity: Hash of all that the figures depend on, but the bundle.
        sounds: Hash of all that the sounds depend on: the texts do not.
    """

    clips: Sequence[SourceClip]
    store: ClipStore
    partners: Sequence[Partners]
    identity: str
    sounds: str

    def describe(self) -> dict[str, Any]:
        """Describe the clips for a results file."""
        mixtures = [scene for pair in self.partners for scene in pair.mixtures]
        return {
            "identity": self.identity,
            "clips": len(self.clips),
            "corpora": dict(Counter(clip.columns.get("corpus", "") for clip in self.clips)),
            "mixtures": len(mixtures),
            "kinds_of_background": len({scene.kind for scene in mixtures}),
            "background_recordings": len({scene.background for scene in mixtures}),
            "event_classes": len({pair.label for pair in self.partners}),
            "events_for_each_kind": EVENTS,
            "snr_lu": list(SNR_LU),
        }


def prepare(data: Path, bundles: Sequence[Path], cache: Path) -> Evaluation:
    """Choose the clips that no bundle was trained on, and draw the mixtures.

    Args:
        data: The manifest.
        bundles: Folders of the bundles.
        cache: Folder of decoded audio.

    Raises:
        DatasetError: The data is no manifest with labels, too few clips are left, or a bundle has
            no list of its clips.
    """
    if not data.is_file():
        raise DatasetError(f"{data} is no manifest; words are measured on clips with labels")
    table = scene_table()
    unseen = unseen_by_all(read_clips(data), bundles)
    clips = judged(unseen)
    store = open_store(scene_clips(unseen, table), cache, MAX_UNREADABLE)
    partners = draw_scenes(store, table)
    names = [clip.name for clip in (*clips, *store.clips)]
    sounds = hash_parts([VERSION, hash_file(data).sha256, *names, *partners])[:16]
    identity = hash_parts([sounds, hash_tables()])[:16]
    return Evaluation(clips, store, partners, identity, sounds)


def measure_words(
    data: Path, bundles: Sequence[Path], *, results: Path, cache: Path, threads: int = 0
) -> Path:
    """Run all protocols on each bundle, and put a row for each into ``words.json``.

    Args:
        data: The manifest.
        bundles: Folders of the bundles; all are measured over the clips that none was trained on.
        results: Folder of the results.
        cache: Folder of decoded audio and of the libraries of embeddings.
        threads: Threads of an encoder; 0 for one for each core.

    Returns:
        The results file.

    Raises:
        DatasetError: See `prepare`; or a bundle has no towers.
        StartupError: A bundle cannot be used.
    """
    evaluation = prepare(data, bundles, cache)
    for bundle in bundles:
        service = Service(bundle, threads)
        manifest = service.models.bundle.manifest
        towers = manifest.towers.fingerprint if manifest.towers else ""
        key = {
            "encoder": manifest.encoder.fingerprint,
            "towers": towers,
            "clips": evaluation.identity,
        }
        figures = measure_bundle(service, evaluation, cache)
        about = {"id": manifest.id, "phrases": service.n_phrases}
        about |= {"samples_seen": describe_bundle(manifest)["samples_seen"]}
        put_row(results / RESULTS, key, {"bundle": about, "data": evaluation.describe()} | figures)
    return results / RESULTS


def measure_bundle(service: Service, evaluation: Evaluation, cache: Path) -> dict[str, Any]:
    """Run all protocols on one bundle."""
    encoder = service.models.encoder
    name = hash_parts([encoder.fingerprint, encoder.precision, evaluation.sounds])[:24]
    folder = cache / "words" / name
    with service.library(folder / "corpora") as served:
        figures = _over_corpora(served, evaluation)
    with service.library(folder / "scenes") as served:
        return figures | _over_scenes(served, evaluation)


def _over_corpora(served: ServedLibrary, evaluation: Evaluation) -> dict[str, Any]:
    """Run the protocols over the clips of all corpora."""
    served.add_files(
        {clip_id(clip): clip.path for clip in evaluation.clips},
        {clip_id(clip): {"corpus": clip.columns.get("corpus", "")} for clip in evaluation.clips},
    )
    readable = served.ids()
    items = [item_of(clip) for clip in evaluation.clips]
    search = Search(served, Collection(item for item in items if item.id in readable))
    requests, texts = list_requests(), list_texts()
    asked = text_only.countable(search.collection, requests)
    return {
        "text_only": text_only.measure(search, requests),
        "names": text_only.measure(search, texts.known),
        "unknown": unknown.measure(search, asked, texts),
        "example": example.measure(search),
    }


def _over_scenes(served: ServedLibrary, evaluation: Evaluation) -> dict[str, Any]:
    """Run the protocols over mixtures, their backgrounds alone and the clips of all events."""
    store, partners, table = evaluation.store, evaluation.partners, scene_table()
    scenes = scene_items(store, partners)
    events = event_items(store, table)
    served.add_sounds(
        {item.id: partial(render, store, scene) for scene, item in scenes.items()}
        | {item.id: partial(store.clip, row) for row, item in events.items()}
    )
    every = {item.id: item for item in (*scenes.values(), *events.values())}
    search = Search(served, Collection(every.values()))
    return {
        "negation": negation.measure(search, partners, scenes, table),
        "composition": composition.measure(search, partners, scenes, table),
        "subtraction": subtraction.measure(search, partners, scenes),
    }
