"""What a library is told to write, step by step, and the check that it holds what it promised."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from powercut.workload import Outcome
from tiny_library import MEAN, make_clip, make_embedding, make_stored, make_windows, open_library

from service.clips import Metadata, NewClip
from service.difference import centre
from service.errors import StartupError
from service.library.library import Library

N_SEEDS = 8  # few, so that clips share audio files
LARGEST_AUDIO_BYTES = 20_000
Kind = Literal["open", "put", "delete", "save", "report", "close"]

State = dict[str, tuple[int, int]]
"""The clips of a library: by name, the seed of the content and the step that put it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the library.

    Attributes:
        kind: What is called.
        clips: Names, and the seeds of the content to put; a clip with None is deleted.
    """

    kind: Kind
    clips: Mapping[str, int | None]


def make_plan(seed: int, n_writes: int, *, saves: float = 0.1) -> list[Step]:
    """Return a random session: open, write, close, open, write, close.

    Args:
        seed: Seed of the choices.
        n_writes: Number of the writes, snapshots included.
        saves: Share of the snapshots.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([0.45, 0.15, 0.15, 0.15, saves])
    names: list[str] = []
    steps = [Step("open", {})]
    for number in range(n_writes):
        if number == n_writes // 2:
            steps += [Step("report", {}), Step("close", {}), Step("open", {})]
        kind = rng.choice(["put", "many", "replace", "delete", "save"], p=shares / shares.sum())
        if kind == "save":
            steps.append(Step("save", {}))
        elif kind in ("replace", "delete") and names:
            name = names[int(rng.integers(len(names)))]
            seed_or_none = None if kind == "delete" else int(rng.integers(N_SEEDS))
            if kind == "delete":
                names.remove(name)
            steps.append(Step("delete" if kind == "delete" else "put", {name: seed_or_none}))
        else:
            new = [f"clip{number}.{n}" for n in range(3 if kind == "many" else 1)]
            names += new
            steps.append(Step("put", {name: int(rng.integers(N_SEEDS)) for name in new}))
    return [*steps, Step("report", {}), Step("close", {})]


def take(library: Library, step: Step, number: int) -> None:
    """Do a step of the kind put, delete or save."""
    if step.kind == "save":
        library.index.save()
    elif step.kind == "delete":
        for name in step.clips:
            library.writer.delete(name)
    else:
        clips = [
            clip_of(name, seed, number) for name, seed in step.clips.items() if seed is not None
        ]
        library.writer.put_many(clips)


def possible_states(
    plan: Sequence[Step],
    outcomes: Iterable[Outcome],
    before: Sequence[State] = ({},),
    *,
    first: int = 0,
) -> list[State]:
    """Return the states in which a library may be after the first steps of a plan.

    Args:
        plan: The steps.
        outcomes: What is known of those that were begun.
        before: The states in which it may have been before.
        first: Number of the first step.
    """
    states = list(before)
    for number, (step, outcome) in enumerate(zip(plan, outcomes, strict=False), start=first):
        after = [_applied(state, step, number) for state in states]
        together = after if outcome == "done" else states + after
        states = [state for n, state in enumerate(together) if state not in together[:n]]
    return states


def _applied(state: State, step: Step, number: int) -> State:
    put = {name: (seed, number) for name, seed in step.clips.items() if seed is not None}
    kept = {name: value for name, value in state.items() if name not in step.clips}
    return kept | put


def clip_of(name: str, seed: int, step: int) -> NewClip:
    """Return the clip of a seed: long ones, and ones without audio, are among them."""
    metadata: Metadata = {"seed": seed, "step": step}
    clip = make_clip(name, seed, metadata=metadata, n_windows=n_windows_of(seed))
    return replace(clip, audio=make_stored(audio_of(seed)) if has_audio(seed) else None)


def has_audio(seed: int) -> bool:
    """Return whether the clips of a seed have stored audio."""
    return seed % 4 != 0


def n_windows_of(seed: int) -> int:
    """Return the number of windows of the clips of a seed."""
    return seed % 4 if seed % 2 else 0


def audio_of(seed: int) -> bytes:
    """Return the bytes in place of the audio file of a seed."""
    rng = np.random.default_rng(seed)
    return rng.bytes(int(rng.integers(1, LARGEST_AUDIO_BYTES)))


def problems(path: Path, possible: Sequence[State], *, exists: bool = True) -> list[str]:
    """Open a library and return what is wrong with it; empty if it is in a possible state.

    Args:
        path: Its folder.
        possible: The states in which it may be.
        exists: Whether a library was there; otherwise it is made.
    """
    try:
        with closing(open_library(path, create=not exists)) as library:
            return list(_wrong(library, possible))
    except StartupError as error:
        return [f"refused: {error}"]
    except Exception as error:
        return [f"crashed: {type(error).__name__}: {error}"]


def _wrong(library: Library, possible: Sequence[State]) -> Iterator[str]:
    found = listed(library)
    if found not in possible:
        yield f"lost: the library holds {found}, not one of {possible}"
        return
    yield from wrong_clips(library, found)
    library.writer.put(clip_of("afterwards", 5, 0))
    yield from wrong_clips(library, found | {"afterwards": (5, 0)})


def listed(library: Library) -> State:
    """Return the clips that a library lists."""
    state: State = {}
    cursor: str | None = None
    while True:
        records, cursor = library.page(cursor, 1000)
        for record in records:
            values = [int(str(record.metadata[name])) for name in ("seed", "step")]
            state[record.id] = (values[0], values[1])
        if cursor is None:
            return state


def wrong_clips(
    library: Library, state: State, names: Iterable[str] | None = None
) -> Iterator[str]:
    """Read and search clips of a library, all or some; yield what is not as it was put."""
    for name in state if names is None else names:
        seed, _ = state[name]
        same = {other for other, (value, _) in state.items() if value == seed}
        for embedding in (make_embedding(seed), *_windows(seed)):
            hits = library.search(centre(embedding, MEAN), len(same))
            if {hit.record.id for hit in hits} != same:
                yield f"not found: {name} is not among its own hits"
        record = library.catalog.get(name)
        if not np.array_equal(library.catalog.embedding(name), make_embedding(seed)):
            yield f"wrong: the embedding of {name}"
        if record.windows != n_windows_of(seed):
            yield f"wrong: {name} has {record.windows} windows"
        if has_audio(seed):
            content = served_audio(library, name)
            if content != audio_of(seed) or record.sha256 != hashlib.sha256(content).hexdigest():
                yield f"wrong: the audio of {name}"


def served_audio(library: Library, name: str) -> bytes:
    """Read the audio of a clip as a library serves it."""
    audio = library.open_audio(name)
    if isinstance(audio, Path):
        return audio.read_bytes()
    with audio:
        return audio.file.read()


def _windows(seed: int) -> Iterable[np.ndarray]:
    n_windows = n_windows_of(seed)
    return make_windows(seed, n_windows).embeddings if n_windows else ()
