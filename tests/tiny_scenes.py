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

DIM = 48
EVENTS = ("dog", "rooster", "rain", "siren", "crow", "sheep")
KINDS = ("rain", "bells")
PER_CLASS = 4


class WordVectors:
    """Stands in for the cache of the text encoder: a text is the mean of its words' vectors."""

    dim = 24

    class files:  # noqa: N801 - named like the attribute it stands in for
        """The hashes that a checkpoint records."""

        sha256 = {"model.safetensors": "0" * 64, "config.json": "1" * 64, "tokenizer.json": "2" * 64}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.mean([_direction(word, self.dim) for word in text.split()], 0) for text in texts]
        return np.array(rows, np.float32).reshape(-1, self.dim)


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
    backgrounds = tuple(
        Background(path=f"bg/{bed}-{i}.wav", recording=f"bg:{bed}-{i}", kind=kind, from_s=0.0)
        for i in range(2)
    )
    beds = tuple(_item("background", kind, each.path, 0.0) for each in backgrounds)
    query, target, sources, changes = [*beds], [*beds], {}, []
    names: list[ChangeKind] = [CHANGE_KINDS[index % len(CHANGE_KINDS)]]
    names += ["add"] if index % 4 == 3 else []
    taken = {kind}
    for name in names:
        if name in ("more", "less"):
            item = _item("more", kind, backgrounds[0].path, 6.0)
            (target if name == "more" else query).append(item)
            changes.append(Change(name, kind))
            continue
        row = int(draw.choice([i for i, row in enumerate(rows) if row.label not in taken]))
        label = rows[row].label
        taken.add(label)
        loud, soft = (_item("event", label, rows[row].path, db) for db in (9.0, 0.0))
        levels = {"add": (None, loud), "remove": (loud, None), "louder": (soft, loud)}
        before, after = levels.get(name, (loud, soft))
        query += [before] if before else []
        target += [after] if after else []
        changes.append(Change(name, label))
        sources[label] = Source(path=rows[row].path, row=row)
    return Pair(
        index=index,
        bed=bed,
        backgrounds=backgrounds,  # type: ignore[arg-type]
        ref_db=-30.0,
        changes=tuple(changes),
        query=_clip(query),
        target=_clip(target),
        sources=sources,
    )


def _item(role: str, label: str, path: str, snr_db: float) -> Item:
    return Item(
        role=role,  # type: ignore[arg-type]
        label=label,
        path=path,
        from_s=0.0,
        source_time_s=0.0,
        onset_s=0.0,
        duration_s=5.0,
        snr_db=snr_db,
    )


def _clip(items: Sequence[Item]) -> Clip:
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
