"""Rendering and embedding as one pipeline: threads render ahead while the encoder runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.bundle.files import hash_file, load_bundle
from service.inference.encoder import Encoder
from training.data.manifest import read_clips
from training.data.store import open_store
from training.errors import DatasetError
from training.export.provenance import git_commit
from training.model.frontend import SAMPLE_RATE
from training.scenes.draw import Plan, draw_pairs, list_events
from training.scenes.folder import EmbeddingFiles, add_to_about, write_pairs
from training.scenes.load import EventRow
from training.scenes.pair import Pair
from training.scenes.pool import build_pool, scene_clips
from training.scenes.render import SoundOf, StoredSounds, render
from training.scenes.scene import get_scene

# Always the same batches, wherever a run was stopped: bits depend on what shares a batch.
BATCH_PAIRS = 2
BATCH_EVENTS = 8
RENDERERS = 2
AHEAD = 6
SAVE_EVERY_S = 20.0
MAX_UNREADABLE = 0.01

Waveform = Float32[np.ndarray, " samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a set of pairs is rendered from.

    Attributes:
        pairs: The pairs.
        events: The clean events.
        render_pair: Gives the two clips of a pair.
        render_event: Gives a clean event.
    """

    pairs: Sequence[Pair]
    events: Sequence[EventRow]
    render_pair: Callable[[Pair], tuple[Waveform, Waveform]]
    render_event: Callable[[EventRow], Waveform]


def generate(data: Path, plan: Plan, bundles: Iterable[Path], out: Path, cache: Path) -> None:
    """Draw a set of pairs, render them and embed their clips, or go on where a run stopped.

    Args:
        data: The manifest.
        plan: What the pairs are a function of.
        bundles: Whose encoders embed.
        out: Folder of the set; the embeddings of another encoder may stand in it already.
        cache: Folder of decoded audio.

    Raises:
        DatasetError: The data does not give such a scene, or the folder holds another set.
        BundleError: A bundle cannot be used.
    """
    encoders = [open_encoder(bundle) for bundle in bundles]
    if not data.is_file():
        raise DatasetError(f"{data} is no manifest; scenes need one, with labels and recordings")
    store = open_store(scene_clips(read_clips(data)), cache, MAX_UNREADABLE)
    pool = build_pool(store, get_scene(plan.scene), plan.side, permissive=plan.permissive)
    sounds = StoredSounds.of(store)
    events = list_events(pool)
    material = Material(
        pairs=draw_pairs(pool, plan),
        events=[EventRow(path=e.path, label=e.label, fold=e.fold) for e in events],
        render_pair=lambda pair: render_pair(pair, sounds),
        render_event=lambda event: store.clip(sounds.rows[event.path]),
    )
    about = asdict(plan) | {"manifest_sha256": hash_file(data).sha256}
    embed_set(material, encoders, out, about)


def open_encoder(bundle: Path) -> Encoder:
    """Open the encoder of a bundle.

    Raises:
        BundleError: The bundle cannot be used.
        DatasetError: The encoder hears another rate than pairs are rendered at.
    """
    encoder = Encoder.open(load_bundle(bundle))
    if encoder.sample_rate != SAMPLE_RATE:
        raise DatasetError(f"{bundle} hears {encoder.sample_rate} Hz; scenes have {SAMPLE_RATE} Hz")
    return encoder


def render_pair(pair: Pair, sounds: SoundOf) -> tuple[Waveform, Waveform]:
    """Render the two clips of a pair."""
    query, target = (
        render(clip, pair.ref_db, sounds, SAMPLE_RATE) for clip in (pair.query, pair.target)
    )
    return query, target


def embed_set(
    material: Material, encoders: Iterable[Encoder], out: Path, about: dict[str, object]
) -> None:
    """Write a set of pairs with the embeddings of encoders, or go on with it.

    Args:
        material: What it is rendered from, once for all encoders.
        encoders: Embed the clips.
        out: Folder of the set.
        about: What the pairs are a function of.

    Raises:
        DatasetError: The folder holds another set.
    """
    write_pairs(out, about, material.pairs)
    targets = [_Target.open(out, material, encoder) for encoder in encoders]
    for target in targets:
        _embed_events(material, target)
    _embed_pairs(material, targets)
    costs = {target.name: target.files.state.cost for target in targets}
    add_to_about(out, commit=git_commit(), seconds_per_pair=costs)


@dataclass(frozen=True, slots=True)
class _Target:
    """An encoder and where its embeddings go."""

    name: str
    encoder: Encoder
    files: EmbeddingFiles

    @classmethod
    def open(cls, out: Path, material: Material, encoder: Encoder) -> _Target:
        name, n_pairs = encoder.fingerprint[:16], len(material.pairs)
        files = EmbeddingFiles(out / name, material.events, n_pairs, encoder.dim)
        if files.state.done < n_pairs:
            # A smaller set may have ended within a batch of this one.
            files.state.done -= files.state.done % BATCH_PAIRS
        return cls(name, encoder, files)

    def add_pairs(self, clips: Sequence[Waveform], rendering_s: float) -> None:
        """Embed the clips of the next pairs."""
        start = time.monotonic()
        embeddings = self.encoder.embed(clips)
        self.files.add_pairs(embeddings)
        self.files.state.rendering_s += rendering_s
        self.files.state.encoding_s += time.monotonic() - start


def _embed_events(material: Material, target: _Target) -> None:
    events = material.events[target.files.state.events :]
    for first in tqdm(range(0, len(events), BATCH_EVENTS), desc="events", unit="batch"):
        batch = [material.render_event(event) for event in events[first : first + BATCH_EVENTS]]
        target.files.add_events(target.encoder.embed(batch))
    target.files.save()


def _embed_pairs(material: Material, targets: Sequence[_Target]) -> None:
    """Render what some encoder has not embedded yet, and let those embed it."""
    done = min(target.files.state.done for target in targets)
    begun = saved = time.monotonic()
    progress = tqdm(total=len(material.pairs), initial=done, desc="pairs", unit="pair")
    with progress:
        for clips, rendering_s in _rendered(material, done):
            waiting = [target for target in targets if target.files.state.done == done]
            for target in waiting:
                target.add_pairs(clips, rendering_s)
            now = time.monotonic()
            for target in waiting:
                target.files.state.elapsed_s += now - begun
            begun = now
            if now - saved > SAVE_EVERY_S:
                _save(targets)
                saved = now
            done += len(clips) // 2
            progress.update(len(clips) // 2)
    _save(targets)


def _save(targets: Iterable[_Target]) -> None:
    for target in targets:
        target.files.save()


def _rendered(material: Material, done: int) -> Iterator[tuple[list[Waveform], float]]:
    """Render batches in order, some ahead of their use; says how long each took [s]."""

    def rendered(pairs: Sequence[Pair]) -> tuple[list[Waveform], float]:
        start = time.monotonic()
        clips = [clip for pair in pairs for clip in material.render_pair(pair)]
        return clips, time.monotonic() - start

    waiting: deque[Future[tuple[list[Waveform], float]]] = deque()
    with ThreadPoolExecutor(RENDERERS) as pool:
        for batch in _batches(material.pairs[done:]):
            waiting.append(pool.submit(rendered, batch))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(pairs: Sequence[Pair]) -> Iterable[Sequence[Pair]]:
    return (pairs[first : first + BATCH_PAIRS] for first in range(0, len(pairs), BATCH_PAIRS))
