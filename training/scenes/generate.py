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

from service.bundle import hash_file, load_bundle
from service.encoder import Encoder
from training.errors import DatasetError
from training.frontend import SAMPLE_RATE
from training.manifest import read_clips
from training.provenance import git_commit
from training.scenes.draw import Plan, draw_pairs, list_events
from training.scenes.folder import EmbeddingFiles, add_to_about, write_pairs
from training.scenes.load import EventRow
from training.scenes.pair import Pair
from training.scenes.pool import build_pool, scene_clips
from training.scenes.render import SoundOf, StoredSounds, render
from training.scenes.scene import get_scene
from training.store import open_store

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


def generate(data: Path, plan: Plan, bundle: Path, out: Path, cache: Path) -> None:
    """Draw a set of pairs, render them and embed their clips, or go on where a run stopped.

    Args:
        data: The manifest.
        plan: What the pairs are a function of.
        bundle: Whose encoder embeds.
        out: Folder of the set; the embeddings of another encoder may stand in it already.
        cache: Folder of decoded audio.

    Raises:
        DatasetError: The data does not give such a scene, or the folder holds another set.
        BundleError: The bundle cannot be used.
    """
    encoder = open_encoder(bundle)
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
    embed_set(material, encoder, out, about)


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


def embed_set(material: Material, encoder: Encoder, out: Path, about: dict[str, object]) -> None:
    """Write a set of pairs with the embeddings of one encoder, or go on with it.

    Args:
        material: What it is rendered from.
        encoder: Embeds the clips.
        out: Folder of the set.
        about: What the pairs are a function of.

    Raises:
        DatasetError: The folder holds another set.
    """
    write_pairs(out, about, material.pairs)
    name = encoder.fingerprint[:16]
    files = EmbeddingFiles(out / name, material.events, len(material.pairs), encoder.dim)
    _embed_events(material, encoder, files)
    _embed_pairs(material, encoder, files)
    add_to_about(out, commit=git_commit(), seconds_per_pair={name: files.state.cost})


def _embed_events(material: Material, encoder: Encoder, files: EmbeddingFiles) -> None:
    events = material.events[files.state.events :]
    for first in tqdm(range(0, len(events), BATCH_EVENTS), desc="events", unit="batch"):
        batch = events[first : first + BATCH_EVENTS]
        files.add_events(encoder.embed([material.render_event(event) for event in batch]))
    files.save()


def _embed_pairs(material: Material, encoder: Encoder, files: EmbeddingFiles) -> None:
    state = files.state
    if state.done < len(material.pairs):
        # A smaller set may have ended within a batch of this one.
        state.done -= state.done % BATCH_PAIRS
    begun = saved = time.monotonic()
    elapsed_s = state.elapsed_s
    progress = tqdm(total=len(material.pairs), initial=state.done, desc="pairs", unit="pair")
    with progress:
        for clips, rendering_s in _rendered(material, state.done):
            start = time.monotonic()
            embeddings = encoder.embed(clips)
            now = time.monotonic()
            files.add_pairs(embeddings)
            state.rendering_s += rendering_s
            state.encoding_s += now - start
            state.elapsed_s = elapsed_s + now - begun
            if now - saved > SAVE_EVERY_S:
                files.save()
                saved = now
            progress.update(len(clips) // 2)
    files.save()


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
