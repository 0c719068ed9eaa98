"""Damage to files: one flipped bit, lost or misplaced sectors, cut, missing and exchanged files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import numpy as np
from powercut.operations import Tree

Kind = Literal["flip", "zero", "misplace", "cut", "remove", "exchange"]
KINDS: tuple[Kind, ...] = ("flip", "flip", "flip", "zero", "misplace", "cut", "remove", "exchange")
"""Kinds of damage, those that are tried more often several times."""
SECTOR_BYTES = 512


def damage(
    tree: Tree, name: str, kind: Kind, rng: np.random.Generator, *, others: Collection[bytes] = ()
) -> Tree | None:
    """Return a folder with one damaged file; None if the damage changes nothing.

    Args:
        tree: The folder.
        name: The file.
        kind: The kind of damage.
        rng: Draws the place.
        others: Contents that the file may be exchanged for.
    """
    content = tree[name]
    assert content is not None
    damaged: bytes | None
    if kind == "remove":
        return {other: it for other, it in tree.items() if other != name}
    if not content:
        return None
    if kind == "exchange":
        different = sorted(other for other in others if other != content)
        damaged = different[int(rng.integers(len(different)))] if different else None
    else:
        damaged = _DAMAGES[kind](content, rng)
    return None if damaged in (None, content) else tree | {name: damaged}


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _zero(content: bytes, rng: np.random.Generator) -> bytes:
    start = _sector(content, rng)
    lost = content[start : start + SECTOR_BYTES]
    return content[:start] + bytes(len(lost)) + content[start + SECTOR_BYTES :]


def _misplace(content: bytes, rng: np.random.Generator) -> bytes:
    start, source = _sector(content, rng), _sector(content, rng)
    sector = content[source : source + SECTOR_BYTES]
    return content[:start] + sector + content[start + len(sector) :]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _sector(content: bytes, rng: np.random.Generator) -> int:
    return SECTOR_BYTES * int(rng.integers(-(-len(content) // SECTOR_BYTES)))


_DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "flip": _flip,
    "zero": _zero,
    "misplace": _misplace,
    "cut": _cut,
}
