"""Pairs, embeddings and texts small enough for a test, in which sounds really do add up.

An embedding is a constant plus the directions of all that is heard, each with its level, and a
little noise: what an ideal encoder would give. Texts are bags of words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.scenes.changes import CHANGE_KINDS, Change, ChangeKind
from training.scenes.load import EventRow, SceneSet
from training.scenes.pair import Background, Clip, Item, Pair, Source
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache

DIM = 48
EVENTS = ("dog", "rooster", "rain", "siren", "crow", "sheep")
KINDS = ("rain", "bells")
PER_CLASS = 4


class WordVectors(TextCache):
    """Stands in for the cache of the text encoder: a text is the mean of its words' vectors."""

    def __init__(self) -> None:
        self.dim = 24

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.mean([_direction(word, self.dim) for word in text.split()], 0) for text in texts]
        return np.array(rows, np.float32).reshape(-1, self.dim)


def recipe(**sections: dict[str, object]) -> TowersRecipe:
    """Make a recipe of a few epochs with every loss; the sections override, key by key."""
    content: dict[str, dict[str, object]] = {
        "text": {"per_change": 2, "per_label": 2, "max_tokens": 32, "weights_sha256": None},
        "pairs": {"validation": 0.2, "per_bed": 4, "reversed": 0.5, "crossed": 2},
        "network": {"dim": 16, "width": 24, "standardise": True, "unit": "audio"},
        "loss": {"description": 0.5, "events": 0.5, "difference": 0.5, "learn_temperature": True},
        "optim": {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3},
    }
    for name, values in sections.items():
        content[name] |= values
    return TowersRecipe.model_validate({"name": "tiny", "seed": 0} | content)


def make(n_beds: int = 6, per_bed: int = 8, seed: int = 0) -> SceneSet:
    """Make pairs of all kinds of change; every fourth pair has two."""
    draw = np.random.default_rng(seed)
    rows = [
        EventRow(path=f"esc50/{label}-{i}.wav", label=label, fold=1 + i)
        for label in EVENTS
        for i in range(PER_CLASS)
    ]
    pairs = [
        _pair(bed * per_bed + i, bed, rows, draw) for bed in range(n_beds) for i in range(per_bed)
    ]
    return SceneSet(
        pairs=pairs,
        query=_embed([pair.query for pair in pairs], draw),
        target=_embed([pair.target for pair in pairs], draw),
        events=np.array([_sound(row.path, row.label) + 1.0 for row in rows], np.float16),
        event_rows=rows,
    )


def write(folder: Path, scenes: SceneSet, fingerprint: str) -> Path:
    """Write a set as `minuend-train data scenes` does."""
    embedded = folder / fingerprint[:16]
    embedded.mkdir(parents=True)
    for name in ("query", "target", "events"):
        np.save(embedded / f"{name}.npy", getattr(scenes, name))
    _write_lines(folder / "pairs.jsonl", scenes.pairs)
    _write_lines(embedded / "events.jsonl", scenes.event_rows)
    (embedded / "state.json").write_text(json.dumps({"done": len(scenes.pairs)}))
    about = {"scene": "general", "side": "train", "seed": 0, "permissive": True}
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def _write_lines(path: Path, rows: Sequence[object]) -> None:
    lines = (json.dumps(dataclasses.asdict(row)) for row in rows)  # type: ignore[call-overload]
    path.write_text("".join(line + "\n" for line in lines))


def _pair(index: int, bed: int, rows: Sequence[EventRow], draw: np.random.Generator) -> Pair:
    kind = KINDS[bed % len(KINDS)]
    first, second = (
        Background(
            path=f"bg/{bed}-{i}.wav",
            recording=f"bg:{bed}-{i}",
            kind=kind,
            from_s=0.0,
            length_s=20.0,
        )
        for i in range(2)
    )
    beds = [item("background", kind, each.path, 0.0) for each in (first, second)]
    query, target, sources, changes = [*beds], [*beds], {}, []
    names: list[ChangeKind] = [CHANGE_KINDS[index % len(CHANGE_KINDS)]]
    names += ["add"] if index % 4 == 3 else []
    taken = {kind}
    for name in names:
        row = int(draw.choice([i for i, each in enumerate(rows) if each.label not in taken]))
        label, path, role = rows[row].label, rows[row].path, "event"
        if name in ("more", "less"):
            label, path, role = kind, first.path, "more"
        else:
            taken.add(label)
            sources[label] = Source(path=path, row=row)
        loud, soft = (item(role, label, path, level_db) for level_db in (9.0, 0.0))
        query += {"louder": [soft], "add": [], "more": []}.get(name, [loud])
        target += {"quieter": [soft], "remove": [], "less": []}.get(name, [loud])
        changes.append(Change(name, label))
    return Pair(
        index=index,
        bed=bed,
        backgrounds=(first, second),
        ref_db=-30.0,
        changes=tuple(changes),
        query=clip(query),
        target=clip(target),
        sources=sources,
    )


def item(role: str, label: str, path: str, snr_db: float) -> Item:
    """Make one sound of a clip."""
    return Item(
        role=role,  # type: ignore[arg-type]
        label=label,
        path=path,
        from_s=0.0,
        length_s=20.0,
        source_time_s=0.0,
        onset_s=0.0,
        duration_s=5.0,
        snr_db=snr_db,
    )


def clip(items: Sequence[Item]) -> Clip:
    """Make a clip in which some sounds are heard."""
    return Clip(items=tuple(items), labels=tuple(dict.fromkeys(item.label for item in items)))


def _embed(clips: Sequence[Clip], draw: np.random.Generator) -> np.ndarray:
    heard = [
        1.0
        + np.sum([10 ** (i.snr_db / 20) * _sound(i.path, i.label) for i in clip.items], axis=0)
        + 0.05 * draw.standard_normal(DIM)
        for clip in clips
    ]
    return np.array(heard, np.float16)


def _sound(path: str, label: str) -> np.ndarray:
    return _direction(label, DIM) + 0.5 * _direction(path, DIM)


def _direction(name: str, dim: int) -> np.ndarray:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal(dim)


def write_manifest(path: Path, names: Sequence[str], *, closed: Sequence[str] = ()) -> Path:
    """Write a manifest of clips, CC0 and permissive but for those that are closed."""
    rows = [f"{name},{name.split('/')[0]},5.0,CC0,{int(name not in closed)}\n" for name in names]
    path.write_text("path,corpus,seconds,licence,permissive\n" + "".join(rows))
    return path
