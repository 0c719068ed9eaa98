"""A library that is used as by two processes, compared with a dictionary.

Clips are put, replaced and deleted, and libraries reopened, saved and damaged, in random order.
Both processes see every acknowledged write, searches equal brute force, listings neither skip nor
repeat a clip, and the audio files are those of the existing clips.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_library import (
    MEAN,
    make_bytes,
    make_clip,
    make_windows,
    open_library,
    stored_files,
)

from service.catalog import changes
from service.catalog.filters import Filter, parse_filter
from service.clips import ClipRecord, Metadata, NewClip, Windows
from service.difference import centre
from service.errors import ClipUnknownError
from service.library.library import Library

N_STEPS = 150
N_NAMES = 20
N_SEEDS = 10  # fewer than names, so that clips share content and embeddings
MAX_WINDOWS = 3
KINDS = ("rain", "wind", "fire")
# Float32 inner products of 16 terms against exact sums.
ROUNDING = 2e-6

WEIGHTS = {
    "put": 30,
    "put_many": 8,
    "delete": 15,
    "search": 25,
    "list_all": 5,
    "list_slowly": 10,
    "reopen": 3,
    "save": 4,
    "damage_the_snapshot": 4,
    "plant_a_foreign_snapshot": 1,
}


class TwoProcesses:
    """Two open libraries in one folder, and `model`: the clips they should have, in order."""

    def __init__(self, root: Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.path = root / "library"
        self.foreign = root / "foreign"
        self.sides = [open_library(self.path), open_library(self.path)]
        self.model: dict[str, NewClip] = {}
        self.cursor: str | None = None
        self.listed: list[str] = []
        self.unchanged: set[str] = set()

    def close(self) -> None:
        for library in self.sides:
            library.close()

    def step(self) -> str:
        """Do one random action, check its result, and return its name."""
        weights = np.array(list(WEIGHTS.values()))
        name = str(self.rng.choice(list(WEIGHTS), p=weights / weights.sum()))
        getattr(self, name)()
        return name

    def put(self) -> None:
        clip = self.draw_clip()
        record, created = self.draw_side().writer.put(clip)
        assert created == (clip.id not in self.model)
        self.model[clip.id] = clip
        assert_is(record, clip)

    def put_many(self) -> None:
        clips = [self.draw_clip() for _ in range(self.draw(6))]
        self.draw_side().writer.put_many(clips)
        self.model |= {clip.id: clip for clip in clips}

    def delete(self) -> None:
        name = self.draw_name()
        try:
            self.draw_side().writer.delete(name)
        except ClipUnknownError:
            assert name not in self.model
        else:
            del self.model[name]
        self.unchanged.discard(name)

    def search(self) -> None:
        seed = self.draw(N_SEEDS)
        windows = make_windows(seed, MAX_WINDOWS)
        embeddings = [windows.whole, *windows.embeddings]
        query = centre(embeddings[self.draw(len(embeddings))], MEAN)
        k, (kind, where) = 1 + self.draw(8), self.draw_filter()
        exclude = frozenset(self.draw_name() for _ in range(self.draw(3)))
        every_window = self.draw(3) == 0
        hits = self.draw_side().search(
            query, k, filter=where, exclude=exclude, every_window=every_window
        )
        candidates = [
            (name, *scored)
            for name, clip in self.model.items()
            if name not in exclude and kind in (None, clip.metadata["kind"])
            for scored in exact_scores(query, clip, every_window=every_window)
        ]
        expected = sorted(candidates, key=lambda candidate: -candidate[1])[:k]
        found = [(hit.record.id, hit.start_s, hit.end_s) for hit in hits]
        assert found == [(name, *span) for name, _, span in expected]
        for hit, (name, score, _) in zip(hits, expected, strict=True):
            assert math.isclose(hit.score, score, abs_tol=ROUNDING)
            assert_is(hit.record, self.model[name])

    def list_all(self) -> None:
        limit, (kind, where) = 1 + self.draw(5), self.draw_filter()
        records, cursor = self.draw_side().page(None, limit, where)
        while cursor is not None:
            more, cursor = self.draw_side().page(cursor, limit, where)
            assert more
            records += more
        expected = [c for c in self.model.values() if kind in (None, c.metadata["kind"])]
        for record, clip in zip(records, expected, strict=True):
            assert_is(record, clip)

    def list_slowly(self) -> None:
        """Read the next page of a listing; other steps come between its pages."""
        if self.cursor is None:
            self.listed, self.unchanged = [], set(self.model)
        records, self.cursor = self.draw_side().page(self.cursor, 1 + self.draw(5))
        self.listed += [record.id for record in records]
        if self.cursor is None:
            assert all(self.listed.count(name) == 1 for name in self.unchanged)

    def reopen(self) -> None:
        side = self.draw(2)
        self.sides[side].close()
        self.sides[side] = open_library(self.path, create=False)

    def save(self) -> None:
        self.draw_side().index.save()

    def damage_the_snapshot(self) -> None:
        self.save()
        files = [path for path in (self.path / "index").iterdir() if path.suffix != ".lock"]
        path = files[self.draw(len(files))]
        content = bytearray(path.read_bytes())
        position = self.draw(len(content))
        match self.draw(3):
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(content[:position])
            case 2:
                content[position] ^= 0xC0
                path.write_bytes(content)
        self.reopen()

    def plant_a_foreign_snapshot(self) -> None:
        foreign = open_library(self.foreign)
        foreign.writer.put_many([make_clip(f"x{seed}", seed, stored=False) for seed in range(5)])
        foreign.index.save()
        foreign.close()
        shutil.rmtree(self.path / "index")
        shutil.copytree(self.foreign / "index", self.path / "index")
        self.reopen()

    def check(self) -> None:
        """Compare both libraries, and the audio files, with the model."""
        for library in self.sides:
            assert library.catalog.count() == len(self.model)
        for name, clip in self.model.items():
            np.testing.assert_array_equal(self.draw_side().catalog.embedding(name), clip.embedding)
            assert_windows_are(self.draw_side().catalog.windows(name), clip.windows)
        n_vectors = sum(1 + n_windows(clip) for clip in self.model.values())
        assert self.draw_side().index.n_vectors() == n_vectors
        expected = {audio_name(clip) for clip in self.model.values() if clip.audio is not None}
        assert stored_files(self.path) == expected

    def draw(self, n: int) -> int:
        return int(self.rng.integers(n))

    def draw_side(self) -> Library:
        return self.sides[self.draw(2)]

    def draw_name(self) -> str:
        return f"clip{self.draw(N_NAMES)}"

    def draw_filter(self) -> tuple[str | None, Filter | None]:
        kind = (None, None, *KINDS)[self.draw(5)]
        return kind, None if kind is None else parse_filter({"kind": kind})

    def draw_clip(self) -> NewClip:
        seed, kind = self.draw(N_SEEDS), KINDS[self.draw(3)]
        metadata: Metadata = {"kind": kind, "seed": seed}
        n_windows = max(0, self.draw(MAX_WINDOWS + 3) - 2)
        return make_clip(
            self.draw_name(),
            seed,
            metadata=metadata,
            stored=self.draw(3) > 0,
            n_windows=n_windows,
        )


def exact_scores(
    query: np.ndarray, clip: NewClip, *, every_window: bool
) -> list[tuple[float, tuple[float, float | None]]]:
    """Return score and span of each hit of a clip."""
    whole = exact_score(query, clip.embedding)
    if clip.windows is None:
        return [(whole, (0.0, clip.info.duration_s))]
    windows = clip.windows
    spans = zip(windows.starts_s.tolist(), windows.ends_s.tolist(), strict=True)
    scores = [exact_score(query, embedding) for embedding in windows.embeddings]
    scored = list(zip(scores, spans, strict=True))
    if every_window:
        return scored
    best, span = max(scored, key=lambda one: one[0])
    return [(max(best, whole), span)]


def exact_score(query: np.ndarray, embedding: np.ndarray) -> float:
    vector = centre(embedding, MEAN)
    return math.fsum(a * b for a, b in zip(query.tolist(), vector.tolist(), strict=True))


def audio_name(clip: NewClip) -> str:
    digest = hashlib.sha256(make_bytes(int(str(clip.metadata["seed"])))).hexdigest()
    return f"audio/{digest[:2]}/{digest}.wav"


def assert_is(record: ClipRecord, clip: NewClip) -> None:
    assert (record.id, record.metadata) == (clip.id, clip.metadata)
    assert record.source == ("vector" if clip.audio is None else "stored")
    assert record.windows == n_windows(clip)


def n_windows(clip: NewClip) -> int:
    return 0 if clip.windows is None else len(clip.windows.embeddings)


def assert_windows_are(found: Windows | None, put: Windows | None) -> None:
    if found is None or put is None:
        assert found is put
        return
    for name in ("whole", "embeddings", "starts_s", "ends_s"):
        np.testing.assert_array_equal(getattr(found, name), getattr(put, name))


@pytest.mark.parametrize("seed", range(6))
def test_a_library_equals_a_dictionary_that_two_processes_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # Few deletions are kept, so that indexes and snapshots are often too old to be updated.
    monkeypatch.setattr(changes, "KEPT_DELETIONS", 1)
    monkeypatch.setattr(changes, "PRUNE_EVERY", 1)
    processes = TwoProcesses(tmp_path, seed)
    steps: list[str] = []
    try:
        for _ in range(N_STEPS):
            steps.append(processes.step())
            processes.check()
    except Exception as err:
        err.add_note(f"after {len(steps)} steps, the last of them: {steps[-5:]}")
        raise
    finally:
        processes.close()
