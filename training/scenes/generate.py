"""Rendering and embedding of pairs: threads render ahead while the encoder runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from service.bundle.files import hash_file, load_bundle
from service.inference.encoder import Encoder
from training.data.manifest import read_clips
from training.data.store import ClipStore, open_store
from training.errors import DatasetError
from training.export.provenance import git_commit
from training.model.frontend import SAMPLE_RATE
from training.scenes.draw import PairPlan, draw_pairs, list_events
from training.scenes.folder import EmbeddingFiles, add_to_about, write_pairs
from training.scenes.load import EventRow
from training.scenes.pair import Pair
from training.scenes.pool import ScenePool, build_pool, scene_clips
from training.scenes.recipe import SceneRecipe
from training.scenes.render import StoredSources, Waveform, render_pair

# Batches do not depend on where a run was stopped: the bits of an embedding depend on its batch.
BATCH_PAIRS = 2
BATCH_EVENTS = 8
RENDER_THREADS = 2
MAX_WAITING_BATCHES = 6
SAVE_EVERY_S = 20.0
MAX_UNREADABLE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRendering:
    """The pairs and clean events of a set, and the functions that render them.

    Attributes:
        pairs: The pairs.
        events: The clean events.
        render_pair: Renders the query and the target of a pair.
        render_event: Renders a clean event.
    """

    pairs: Sequence[Pair]
    events: Sequence[EventRow]
    render_pair: Callable[[Pair], tuple[Waveform, Waveform]]
    render_event: Callable[[EventRow], Waveform]


def generate(
    data: Path,
    scene: SceneRecipe,
    plan: PairPlan,
    bundles: Iterable[Path],
    out: Path,
    cache: Path,
) -> None:
    """Draw a set of pairs, render them and embed their clips, or continue a stopped run.

    Args:
        data: The manifest.
        scene: The scene.
        plan: All that the pairs depend on.
        bundles: Bundles whose encoders embed.
        out: Folder of the set; the embeddings of another encoder may be in it already.
        cache: Folder of decoded audio.

    Raises:
        DatasetError: The data does not give such a scene, or the folder holds another set.
        BundleError: A bundle cannot be used.
    """
    encoders = [open_scene_encoder(bundle) for bundle in bundles]
    store = open_scene_store(data, scene, cache)
    pool = build_pool(store, scene, plan.side, permissive=plan.permissive)
    about = plan.to_dict() | {"manifest_sha256": hash_file(data).sha256}
    embed_set(plan_rendering(store, pool, draw_pairs(pool, plan)), encoders, out, about)


def open_scene_store(data: Path, scene: SceneRecipe, cache: Path) -> ClipStore:
    """Decode the clips of a manifest that a scene is made of, or open them in the cache.

    Raises:
        DatasetError: The data is no manifest, holds no such clips, or too many are unreadable.
    """
    if not data.is_file():
        raise DatasetError(f"{data} is no manifest; scenes need one, with labels and recordings")
    return open_store(scene_clips(read_clips(data), scene), cache, MAX_UNREADABLE)


def plan_rendering(store: ClipStore, pool: ScenePool, pairs: Sequence[Pair]) -> SceneRendering:
    """Combine drawn pairs with the clean events of their pool and the store they are made of."""
    sources = StoredSources.of(store)
    return SceneRendering(
        pairs=pairs,
        events=[EventRow(path=e.path, label=e.label, fold=e.fold) for e in list_events(pool)],
        render_pair=lambda pair: render_pair(pair, sources),
        render_event=lambda event: store.clip(sources.rows[event.path]),
    )


def open_scene_encoder(bundle: Path) -> Encoder:
    """Open the encoder of a bundle.

    Raises:
        BundleError: The bundle cannot be used.
        DatasetError: The sample rate of the encoder is not that of rendered pairs.
    """
    encoder = Encoder.open(load_bundle(bundle))
    if encoder.sample_rate != SAMPLE_RATE:
        raise DatasetError(f"{bundle} takes {encoder.sample_rate} Hz; scenes have {SAMPLE_RATE} Hz")
    return encoder


def embed_set(
    rendering: SceneRendering, encoders: Iterable[Encoder], out: Path, about: dict[str, object]
) -> None:
    """Write a set of pairs with the embeddings of encoders, or continue it.

    Args:
        rendering: The pairs and events; each is rendered once for all encoders.
        encoders: The encoders.
        out: Folder of the set.
        about: All that the pairs depend on.

    Raises:
        DatasetError: The folder holds another set.
    """
    write_pairs(out, about, rendering.pairs)
    outputs = [_EncoderOutput.open(out, rendering, encoder) for encoder in encoders]
    for output in outputs:
        _embed_events(rendering, output)
    _embed_pairs(rendering, outputs)
    costs = {output.name: output.files.progress.cost for output in outputs}
    add_to_about(out, commit=git_commit(), seconds_per_pair=costs)


@dataclass(frozen=True, slots=True)
class _EncoderOutput:
    """An encoder and the files of its embeddings."""

    name: str
    encoder: Encoder
    files: EmbeddingFiles

    @classmethod
    def open(cls, out: Path, rendering: SceneRendering, encoder: Encoder) -> _EncoderOutput:
        name, n_pairs = encoder.fingerprint[:16], len(rendering.pairs)
        files = EmbeddingFiles(out / name, rendering.events, n_pairs, encoder.dim)
        if files.progress.done < n_pairs:
            # A smaller set may have ended within a batch of this one.
            files.progress.done -= files.progress.done % BATCH_PAIRS
        return cls(name, encoder, files)

    def add_pairs(self, clips: Sequence[Waveform], rendering_s: float) -> None:
        """Embed the clips of the next pairs."""
        start = time.monotonic()
        embeddings = self.encoder.embed(clips)
        self.files.add_pairs(embeddings)
        self.files.progress.rendering_s += rendering_s
        self.files.progress.encoding_s += time.monotonic() - start


def _embed_events(rendering: SceneRendering, output: _EncoderOutput) -> None:
    events = rendering.events[output.files.progress.events :]
    for first in tqdm(range(0, len(events), BATCH_EVENTS), desc="events", unit="batch"):
        batch = [rendering.render_event(event) for event in events[first : first + BATCH_EVENTS]]
        output.files.add_events(output.encoder.embed(batch))
    output.files.save()


def _embed_pairs(rendering: SceneRendering, outputs: Sequence[_EncoderOutput]) -> None:
    """Render the pairs that some encoder has not embedded yet; those encoders embed them."""
    done = min(output.files.progress.done for output in outputs)
    begun = saved = time.monotonic()
    progress = tqdm(total=len(rendering.pairs), initial=done, desc="pairs", unit="pair")
    with progress:
        for clips, rendering_s in _render_batches(rendering, done):
            behind = [output for output in outputs if output.files.progress.done == done]
            for output in behind:
                output.add_pairs(clips, rendering_s)
            now = time.monotonic()
            for output in behind:
                output.files.progress.elapsed_s += now - begun
            begun = now
            if now - saved > SAVE_EVERY_S:
                _save(outputs)
                saved = now
            done += len(clips) // 2
            progress.update(len(clips) // 2)
    _save(outputs)


def _save(outputs: Iterable[_EncoderOutput]) -> None:
    for output in outputs:
        output.files.save()


def _render_batches(rendering: SceneRendering, done: int) -> Iterator[tuple[list[Waveform], float]]:
    """Render batches in order, a few ahead of their use; yield the clips and the time taken [s]."""

    def render(pairs: Sequence[Pair]) -> tuple[list[Waveform], float]:
        start = time.monotonic()
        clips = [clip for pair in pairs for clip in rendering.render_pair(pair)]
        return clips, time.monotonic() - start

    waiting: deque[Future[tuple[list[Waveform], float]]] = deque()
    with ThreadPoolExecutor(RENDER_THREADS) as pool:
        for first in range(done, len(rendering.pairs), BATCH_PAIRS):
            waiting.append(pool.submit(render, rendering.pairs[first : first + BATCH_PAIRS]))
            if len(waiting) > MAX_WAITING_BATCHES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
