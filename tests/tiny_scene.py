"""A corpus small enough for a test, of which the scene `rain` can be made on either side."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import synth
from jaxtyping import Float32

from training.data.manifest import SourceClip, read_clips
from training.data.store import ClipStore, open_store
from training.scenes.draw import Plan
from training.scenes.pool import Pool, build_pool, scene_clips
from training.scenes.scene import SceneName, Side, get_scene

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
Sound = Float32[np.ndarray, " samples"]


def event(label: str, fold: int, number: int) -> tuple[Row, Sound]:
    """Make a burst of a tone of its own pitch between silence, like a clip of ESC-50."""
    pitch_hz = 500.0 + 150.0 * CLASSES.index(label) + 40.0 * number
    burst = synth.tone(pitch_hz, 1.0 + 0.5 * number, amplitude=0.2)
    sound = np.concatenate([synth.silence(0.5), burst, synth.silence(0.5)])
    name = f"{label}-{fold}-{number}"
    columns = {"corpus": "esc50", "label": label, "fold": fold, "freesound_id": name}
    return {"path": f"esc50/{name}.wav", "recording": f"esc50:{name}"} | columns, sound


def background(kind: str, name: str, seconds: float, *, seed: int) -> tuple[Row, Sound]:
    """Make noise of some length."""
    columns = {"corpus": "ambience", "label": kind, "recording": f"ambience:{name}"}
    sound = synth.noise(seed, seconds, amplitude=0.05)
    return {"path": f"ambience/{name}.wav"} | columns, sound


def corpus() -> list[tuple[Row, Sound]]:
    """List the clips of the scene `rain`: two events of each class a side, four recordings."""
    events = [event(label, fold, n) for label in CLASSES for fold in FOLDS for n in range(2)]
    seconds = (45.0, 12.0, 8.0, 41.0, 20.5)
    rain = [background("rain", f"rain{i}", s, seed=i) for i, s in enumerate(seconds)]
    return events + rain


def write(folder: Path, clips: Iterable[tuple[Row, Sound]] | None = None) -> Path:
    """Write a corpus and return its manifest."""
    rows: list[Row] = []
    for columns, sound in corpus() if clips is None else clips:
        row: Row = {"permissive": 1} | dict(columns)
        synth.write(folder / str(row["path"]), sound, subtype="FLOAT")
        rows.append(row)
    return write_manifest(folder / "manifest.csv", rows)


def write_manifest(path: Path, rows: Sequence[Row]) -> Path:
    """Write a manifest; columns that a row does not name stay empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_only(rows: Iterable[Row]) -> list[SourceClip]:
    """Make clips without sound, for what looks at columns alone."""
    filled = [{"permissive": 1} | dict(row) for row in rows]
    return [
        SourceClip(Path("data"), str(row["path"]), {c: str(row.get(c, "")) for c in COLUMNS})
        for row in filled
    ]


def store(manifest: Path) -> ClipStore:
    """Decode the clips of a manifest."""
    return open_store(scene_clips(read_clips(manifest)), manifest.parent / "cache", 0.0)


def pool(manifest: Path, side: Side = "test", *, scene: SceneName = "rain") -> Pool:
    """Find what a side is drawn from."""
    return build_pool(store(manifest), get_scene(scene), side, permissive=False)


def plan(n_pairs: int, *, side: Side = "test", seed: int = 0, scene: SceneName = "rain") -> Plan:
    """Plan a set of pairs."""
    return Plan(scene=scene, side=side, n_pairs=n_pairs, seed=seed, permissive=False)
