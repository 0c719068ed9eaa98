"""A small corpus for tests, with the events and backgrounds of the scene `rain` on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import synth
from jaxtyping import Float32
from tiny_datasets import write_table

from training.data.manifest import SourceClip, read_clips
from training.data.store import ClipStore, open_store
from training.scenes.draw import PairPlan
from training.scenes.pool import ScenePool, build_pool, scene_clips
from training.scenes.recipe import SceneRecipe, Side, load_scene

CLASSES = ("chirping_birds", "dog", "footsteps", "thunderstorm")
FOLDS = (1, 5)
COLUMNS = (
    "path",
    "corpus",
    "label",
    "fold",
    "permissive",
    "freesound_id",
    "recording",
    "esc50_src_overlap",
)

Row = Mapping[str, object]
Waveform = Float32[np.ndarray, " samples"]


def event(label: str, fold: int, number: int) -> tuple[Row, Waveform]:
    """Make a burst of a tone between silence, like a clip of ESC-50; each has its own pitch."""
    pitch_hz = 500.0 + 150.0 * CLASSES.index(label) + 40.0 * number
    burst = synth.tone(pitch_hz, 1.0 + 0.5 * number, amplitude=0.2)
    waveform = np.concatenate([synth.silence(0.5), burst, synth.silence(0.5)])
    name = f"{label}-{fold}-{number}"
    columns = {"corpus": "esc50", "label": label, "fold": fold, "freesound_id": name}
    return {"path": f"esc50/{name}.wav", "recording": f"esc50:{name}"} | columns, waveform


def background(kind: str, name: str, seconds: float, *, seed: int) -> tuple[Row, Waveform]:
    """Make a background of noise."""
    columns = {"corpus": "ambience", "label": kind, "recording": f"ambience:{name}"}
    waveform = synth.noise(seed, seconds, amplitude=0.05)
    return {"path": f"ambience/{name}.wav"} | columns, waveform


def corpus() -> list[tuple[Row, Waveform]]:
    """List the clips of the scene `rain`: two events per class and side, five backgrounds."""
    events = [event(label, fold, n) for label in CLASSES for fold in FOLDS for n in range(2)]
    seconds = (45.0, 12.0, 8.0, 41.0, 20.5)
    rain = [background("rain", f"rain{i}", s, seed=i) for i, s in enumerate(seconds)]
    return events + rain


def write(folder: Path, clips: Iterable[tuple[Row, Waveform]] | None = None) -> Path:
    """Write a corpus and return its manifest."""
    rows: list[Row] = []
    for columns, waveform in corpus() if clips is None else clips:
        row: Row = {"permissive": 1} | dict(columns)
        synth.write(folder / str(row["path"]), waveform, subtype="FLOAT")
        rows.append(row)
    return write_manifest(folder / "manifest.csv", rows)


def write_manifest(path: Path, rows: Sequence[Row]) -> Path:
    """Write a manifest; columns that a row does not name stay empty."""
    return write_table(path, [dict.fromkeys(COLUMNS, "") | dict(row) for row in rows])


def rows_only(rows: Iterable[Row]) -> list[SourceClip]:
    """Make clips without audio, for functions that read the columns only."""
    filled = [{"permissive": 1} | dict(row) for row in rows]
    return [
        SourceClip(Path("data"), str(row["path"]), {c: str(row.get(c, "")) for c in COLUMNS})
        for row in filled
    ]


def store(manifest: Path, scene: SceneRecipe | None = None) -> ClipStore:
    """Decode the clips of a manifest that a scene is made of."""
    clips = scene_clips(read_clips(manifest), scene or load_scene("general"))
    return open_store(clips, manifest.parent / "cache", 0.0)


def pool(manifest: Path, side: Side = "test", *, scene: str = "rain") -> ScenePool:
    """Find the sources of one side."""
    return build_pool(store(manifest), load_scene(scene), side, permissive=False)


def plan(n_pairs: int, *, side: Side = "test", seed: int = 0, scene: str = "rain") -> PairPlan:
    """Plan a set of pairs."""
    return PairPlan(scene=scene, side=side, n_pairs=n_pairs, seed=seed, permissive=False)
