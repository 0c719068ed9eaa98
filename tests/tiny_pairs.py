"""Small sets of pairs with embeddings and texts, for tests, in which embeddings add up.

An embedding is a constant plus the directions of all sounds, each with its level, and a little
noise, as an ideal encoder would give it. Texts are bags of words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from training.scenes.changes import CHANGE_KINDS, Change, ChangeKind
from training.scenes.load import EventRow, SceneSet
from training.scenes.pair import Background, ChangeSource, Clip, Item, Pair
from training.towers.recipe import TowersRecipe
from training.towers.text_cache import TextCache

DIM = 48
EVENTS = ("dog", "rooster", "rain", "siren", "crow", "sheep")
KINDS = ("rain", "bells")
PER_CLASS = 4


class WordVectors(TextCache):
    """A fake of the cache of the text encoder: a text is the mean of the vectors of its words."""

    def __init__(self) -> None:
        self.dim = 24

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.mean([_direction(word, self.dim) for word in text.split()], 0) for text in texts]
        return np.array(rows, np.float32).reshape(-1, self.dim)


def recipe(**sections: dict[str, object]) -> TowersRecipe:
    """Make a recipe of a few epochs with every loss; the arguments override it, key by key."""
    content: dict[str, dict[str, object]] = {
        "text": {"per_change": 2, "per_label": 2, "max_tokens": 32, "weights_sha256": None},
        "pairs": {"validation": 0.2, "per_bed": 4, "reversed": 0.5, "crossed": 2},
        "network": {"dim": 16, "width": 24, "standardise": True, "unit": "audio"},
        "loss": {"description": 0.5, "events": 0.5, "difference": 0.5, "learn_temperature": True},
        "optim": {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3},
    }
    for name, values in sections.items():
        content[name] = content.get(name, {}) | values
    return TowersRecipe.model_validate({"name": "tiny", "seed": 0} | content)


def make(n_backgrounds: int = 6, n_sharing: int = 8, seed: int = 0) -> SceneSet:
    """Make pairs of all kinds of change, some over the same backgrounds; every fourth has two."""
    rng = np.random.default_rng(seed)
    rows = [
        EventRow(path=f"esc50/{label}-{i}.wav", label=label, fold=1 + i)
        for label in EVENTS
        for i in range(PER_CLASS)
    ]
    pairs = [
        _pair(index, index // n_sharing, rows, rng) for index in range(n_backgrounds * n_sharing)
    ]
    return SceneSet(
        pairs=pairs,
        query=_embed([pair.query for pair in pairs], rng),
        target=_embed([pair.target for pair in pairs], rng),
        events=np.array([_sound_vector(row.path, row.label) + 1.0 for row in rows], np.float16),
        event_rows=rows,
    )


def with_other_recordings(scenes: SceneSet, seed: int = 0) -> SceneSet:
    """Give every target the backgrounds of the next pairs over the same kind, if there are any."""
    rng = np.random.default_rng(seed)
    beds = {pair.background_id: pair.backgrounds for pair in scenes.pairs}
    pairs = []
    for pair in scenes.pairs:
        alike = [n for n in beds if beds[n][0].kind == pair.backgrounds[0].kind]
        others = beds[alike[(alike.index(pair.background_id) + 1) % len(alike)]]
        if others == pair.backgrounds:
            pairs.append(pair)
            continue
        paths = dict(zip((b.path for b in pair.backgrounds), (b.path for b in others), strict=True))
        moved = [
            dataclasses.replace(item, path=paths.get(item.path, item.path))
            for item in pair.target.items
        ]
        pairs.append(
            dataclasses.replace(
                pair,
                target=clip(moved),
                target_background_id=-1 - pair.background_id,
                target_backgrounds=others,
            )
        )
    return dataclasses.replace(
        scenes, pairs=pairs, target=_embed([pair.target for pair in pairs], rng)
    )


def write(folder: Path, scenes: SceneSet, fingerprint: str) -> Path:
    """Write a set in the format of `minuend-train data scenes`."""
    embedded = folder / fingerprint[:16]
    embedded.mkdir(parents=True)
    for name in ("query", "target", "events"):
        np.save(embedded / f"{name}.npy", getattr(scenes, name))
    _write_lines(folder / "pairs.jsonl", (pair.to_json() for pair in scenes.pairs))
    events = (json.dumps(dataclasses.asdict(row)) for row in scenes.event_rows)
    _write_lines(embedded / "events.jsonl", events)
    (embedded / "state.json").write_text(json.dumps({"done": len(scenes.pairs)}))
    about = {"scene": "general", "side": "train", "seed": 0, "permissive": True}
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines))


def _pair(
    index: int, background_id: int, rows: Sequence[EventRow], rng: np.random.Generator
) -> Pair:
    kind = KINDS[background_id % len(KINDS)]
    first, second = (
        Background(
            path=f"bg/{background_id}-{i}.wav",
            recording=f"bg:{background_id}-{i}",
            kind=kind,
            from_s=0.0,
            length_s=20.0,
        )
        for i in range(2)
    )
    backgrounds = [item("background", kind, each.path, 0.0) for each in (first, second)]
    query, target, sources, changes = [*backgrounds], [*backgrounds], {}, []
    names: list[ChangeKind] = [CHANGE_KINDS[index % len(CHANGE_KINDS)]]
    names += ["add"] if index % 4 == 3 else []
    used = {kind}
    for name in names:
        row = int(rng.choice([i for i, each in enumerate(rows) if each.label not in used]))
        label, path, role = rows[row].label, rows[row].path, "event"
        if name in ("more", "less"):
            label, path, role = kind, first.path, "more"
        else:
            used.add(label)
            sources[label] = ChangeSource(path=path, row=row)
        loud, quiet = (item(role, label, path, level_db) for level_db in (9.0, 0.0))
        query += {"louder": [quiet], "add": [], "more": []}.get(name, [loud])
        target += {"quieter": [quiet], "remove": [], "less": []}.get(name, [loud])
        changes.append(Change(name, label))
    return Pair(
        index=index,
        background_id=background_id,
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
    """Make a clip of some sounds."""
    return Clip(items=tuple(items), labels=tuple(dict.fromkeys(item.label for item in items)))


def _embed(clips: Sequence[Clip], rng: np.random.Generator) -> np.ndarray:
    embeddings = [
        1.0
        + np.sum(
            [10 ** (i.snr_db / 20) * _sound_vector(i.path, i.label) for i in clip.items], axis=0
        )
        + 0.05 * rng.standard_normal(DIM)
        for clip in clips
    ]
    return np.array(embeddings, np.float16)


def _sound_vector(path: str, label: str) -> np.ndarray:
    return _direction(label, DIM) + 0.5 * _direction(path, DIM)


def _direction(name: str, dim: int) -> np.ndarray:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal(dim)


def write_manifest(path: Path, names: Sequence[str], *, restricted: Sequence[str] = ()) -> Path:
    """Write a manifest of clips, all CC0, and permissive except the restricted ones."""
    rows = [
        f"{name},{name.split('/')[0]},5.0,CC0,{int(name not in restricted)}\n" for name in names
    ]
    path.write_text("path,corpus,seconds,licence,permissive\n" + "".join(rows))
    return path
