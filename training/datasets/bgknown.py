"""Make Background-known ESC-50: mixtures of event and background, with three references each.

The data set is that of the paper's section 5.2; docs/method.md, "Decisions on Background-known
ESC-50", states what the paper leaves open. The events and backgrounds of each side come from
``sides`` and ``pairing``, the excerpts and levels of a mixture from ``excerpts``. Everything is
mixed at the lowest sample rate of any source, 16 to 44.1 kHz, and then resampled to 16 kHz (B8).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from service.audio.decoding import resample
from service.concurrency.durable import staged_folder
from training.data.loudness import FLOOR_LUFS, loudness
from training.data.manifest import read_table, write_table
from training.data.splits import sources
from training.data.wav import to_int16, write_wav
from training.datasets.excerpts import EXCERPT_S, REFERENCE_LUFS, draw_starts, mix_event
from training.datasets.metadata import join_sources
from training.datasets.pairing import QUIETEST_LUFS, Pairing, assign_backgrounds, decode_source
from training.datasets.sides import TEST, TRAIN, Sides
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

MANIFEST, SUMMARY = "manifest.csv", "dataset.json"
PARTS = ("mixture", "a", "b", "c")
HIGHEST_RATE = 44_100  # [Hz]
SNR_LU = (0.0, 3.0)  # event over background (B7)
MAX_DRAWS = 50  # of the excerpts of one recording, until one is loud enough (B9)
CACHED_BACKGROUNDS = 128  # decoded recordings in memory


def make_bgknown(sides: Sides, out: Path, seed: int) -> Path:
    """Write the data set: ``mixture/``, ``a/``, ``b/``, ``c/``, ``manifest.csv``, ``dataset.json``.

    The content depends on the sources and the seed only. The folder is there complete or not at
    all.

    Args:
        sides: Events and backgrounds.
        out: Folder of the data set; it must not exist.
        seed: Of every draw.

    Returns:
        The folder.

    Raises:
        DatasetError: The folder exists, a file cannot be read, or no background is long and loud
            enough.
    """
    if out.exists():
        raise DatasetError(f"{out} is there already; choose another folder")
    pairings = {
        side: assign_backgrounds(sides.events[side], sides.backgrounds[side], [seed, number])
        for number, side in enumerate((TRAIN, TEST))
    }
    lowest = min(pairing.lowest_rate for pairing in pairings.values())
    rate = max(SAMPLE_RATE, min(HIGHEST_RATE, lowest))
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(out) as staged:
        for part in PARTS:
            (staged / part).mkdir()
        rows = list(_render_all(sides, pairings, staged, rate, seed))
        write_table(staged / MANIFEST, list(rows[0]), rows)
        summary = _summarise(sides, pairings, rate, seed)
        # The loudness of an event below the gate is that of the gate, which bounds its gain.
        at_gate = [row["event"] for row in rows if row["event_lufs"] == f"{FLOOR_LUFS:.4f}"]
        summary["events_at_the_gate"] = at_gate
        summary["manifest_sha256"] = hashlib.sha256((staged / MANIFEST).read_bytes()).hexdigest()
        (staged / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return out


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Read the manifest of a data set.

    Raises:
        DatasetError: It does not exist.
    """
    if not (folder / MANIFEST).is_file():
        raise DatasetError(f"{folder} holds no {MANIFEST}; 'data bgknown' makes the data set")
    return read_table(folder / MANIFEST)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the summary of a data set: seed, sample rate, levels, and numbers by side."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return summary


def _render_all(
    sides: Sides, pairings: Mapping[str, Pairing], folder: Path, rate: int, seed: int
) -> Iterator[dict[str, object]]:
    load = lru_cache(CACHED_BACKGROUNDS)(lambda path: decode_source(path, rate).samples)
    pairs = [
        (side, event, background)
        for side, pairing in pairings.items()
        for event, background in zip(sides.events[side], pairing.backgrounds, strict=True)
    ]
    for number, (side, event, background) in enumerate(tqdm(pairs, desc="mixing")):
        name, random = f"{number:04d}", np.random.default_rng([seed, 2, number])
        sounds = decode_source(event.path, rate).samples, load(background.path)
        draws = _render(folder, name, sounds, rate, random)
        both = sources(event) | sources(background) | {event.name, background.name}
        yield {
            "name": name,
            "side": side,
            "label": event.columns["label"],
            "fold": event.columns["fold"],
            "event": event.name,
            "background": background.name,
            **draws,
            "sources": join_sources(both),
        }


def _render(
    folder: Path,
    name: str,
    sounds: tuple[np.ndarray, np.ndarray],
    rate: int,
    random: np.random.Generator,
) -> dict[str, object]:
    """Draw and write the mixture and references of one row.

    Returns:
        The draws, levels, and the hash of all samples, as text for the manifest.
    """
    excerpt = round(EXCERPT_S * rate)
    event = np.pad(sounds[0][:excerpt], (0, max(0, excerpt - sounds[0].size)))
    for _ in range(MAX_DRAWS):
        starts = draw_starts(sounds[1].size, excerpt, random)
        if loudness(sounds[1][starts.a : starts.a + excerpt], rate) >= QUIETEST_LUFS:
            break
    else:
        raise DatasetError(f"{MAX_DRAWS} excerpts of the background of {name} were all silent")
    snr_lu = float(random.uniform(*SNR_LU))
    mixed = mix_event(event, sounds[1], starts, snr_lu, rate)
    digest = hashlib.sha256()
    for part, samples in {"mixture": mixed.mixture, **mixed.references}.items():
        written = to_int16(resample(samples, rate, SAMPLE_RATE))
        write_wav(folder / part / f"{name}.wav", written, SAMPLE_RATE)
        digest.update(written.tobytes())
    draws: dict[str, object] = {f"start_{part}": start for part, start in asdict(starts).items()}
    levels = {key: f"{value:.4f}" for key, value in mixed.levels.items()}
    return draws | {"snr_lu": f"{snr_lu:.4f}"} | levels | {"samples_sha256": digest.hexdigest()}


def _summarise(
    sides: Sides, pairings: Mapping[str, Pairing], rate: int, seed: int
) -> dict[str, Any]:
    return {
        "seed": seed,
        "mixed_at_hz": rate,
        "reference_lufs": REFERENCE_LUFS,
        "snr_lu": list(SNR_LU),
        "backgrounds_dropped": sides.dropped,
        "sides": {
            side: {
                "events": len(sides.events[side]),
                "background_files": pairing.files,
                "background_recordings": pairing.recordings,
                "with_replacement": pairing.with_replacement,
            }
            for side, pairing in pairings.items()
        },
    }
