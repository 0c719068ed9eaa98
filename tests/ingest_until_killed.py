"""Processes that write to a library until they are killed, and the plan they follow.

Run as `python ingest_until_killed.py LIBRARY`. For every line of input, the number of a round, it
forks a process (which spares it the imports) that says "pid N", opens the library, and says "done"
after each step of the plan that the library has acknowledged; "killed" follows when it is dead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tiny_library import make_clip, open_library

from service.clips import Metadata, NewClip

Step = dict[str, int | None]
"""Seeds of the clips to put in one write; None deletes a clip; an empty step saves a snapshot."""


def plan(round_: int) -> Iterator[Step]:
    """Yield the endless steps of a round: mostly new clips; every seed once."""
    rng = np.random.default_rng(round_)
    seed = round_ * 100_000
    names: list[str] = []
    while True:
        kind = rng.choice(["put", "many", "replace", "delete", "save"], p=[0.6, 0.1, 0.1, 0.1, 0.1])
        if kind == "save":
            yield {}
        elif kind in ("put", "many"):
            new = [f"r{round_}-{seed + n}" for n in range(1 if kind == "put" else 4)]
            names += new
            yield {name: (seed := seed + 1) for name in new}
        elif names:
            name = names[int(rng.integers(len(names)))]
            if kind == "delete":
                names.remove(name)
            yield {name: None if kind == "delete" else (seed := seed + 1)}


def metadata_of(seed: int) -> Metadata:
    return {"seed": seed}


def clip_of(name: str, seed: int) -> NewClip:
    """Return the clip of a seed; every other one is long."""
    n_windows = n_windows_of(seed)
    return make_clip(name, seed, metadata=metadata_of(seed), n_windows=n_windows)


def n_windows_of(seed: int) -> int:
    return seed % 4 if seed % 2 else 0


def ingest(path: Path, round_: int) -> None:
    library = open_library(path, create=False)
    for step in plan(round_):
        match list(step.items()):
            case []:
                library.index.save()
            case [(name, None)]:
                library.writer.delete(name)
            case [(name, int(seed))]:
                library.writer.put(clip_of(name, seed))
            case items:
                seeds = [(name, seed) for name, seed in items if seed is not None]
                library.writer.put_many([clip_of(name, seed) for name, seed in seeds])
        say("done")


def say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main(path: Path) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            ingest(path, int(line))
        os.waitpid(child, 0)
        say("killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
