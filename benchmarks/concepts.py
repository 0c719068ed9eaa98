"""What a difference of embeddings is and when it misleads, in three pictures.

    python benchmarks/concepts.py [BUNDLE]

Draws ``docs/figures/`` and writes ``docs/results/concepts.json``, on the demo's clips: where a
mixture, its parts and their difference lie; how far a mixture is from its reference, beside what a
change of level and a shift do to it; and how often the added clip is found, over its level.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import results
from jaxtyping import Float32
from matplotlib.figure import Figure

from service.audio.decoding import decode
from service.bundle.files import load_bundle
from service.difference import centre, difference_query, relative_norm
from service.inference.encoder import Encoder

CLIPS = results.ROOT / "service" / "demo" / "clips"
FIGURES = results.ROOT / "docs" / "figures"
BACKGROUND, ADDED = "wind-gusts", "birds-wood"
PAIRS = 150
SEED = 0
LEVELS_DB = (-40, -30, -20, -10, 0, 10)
GAINS_DB = (-12, -6, -3, 3, 6, 12)
SHIFT_S = 0.05
DPI = 110

Samples = Float32[np.ndarray, " samples"]
Embeddings = Float32[np.ndarray, "clips dim"]


@dataclass(frozen=True, slots=True)
class Library:
    """The demo's clips and their embeddings, in the order of their names."""

    names: list[str]
    clips: list[Samples]
    embeddings: Embeddings


def main() -> None:
    """Measure, draw and write."""
    default = results.ROOT / "models/default"
    bundle = load_bundle(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
    encoder = Encoder.open(bundle, device="cpu")
    paths = sorted(CLIPS.glob("*.ogg"))
    clips = [decode(path, sample_rate=encoder.sample_rate).samples for path in paths]
    library = Library([path.stem for path in paths], clips, encoder.embed(clips))
    levels = measure_levels(encoder, library)
    alarms = measure_alarms(encoder, library)
    results.write(
        "concepts",
        {
            "bundle": bundle.manifest.id,
            "fingerprint": encoder.fingerprint,
            "reference_weight": encoder.reference_weight,
            "clips": len(clips),
            "pairs": PAIRS,
            "by_level_db": levels,
            "nothing_added": alarms,
        },
    )
    FIGURES.mkdir(exist_ok=True)
    draw_plane(FIGURES / "plane.png", encoder, library)
    draw_norms(FIGURES / "norms.png", levels, alarms)
    draw_found(FIGURES / "found.png", levels)


def mixture(background: Samples, added: Samples, level_db: float) -> Samples:
    """Add a sound to a background at a level relative to it, for the length of the background."""
    sound = np.resize(added, background.size)
    ratio = np.sqrt(np.mean(background**2) / np.mean(sound**2)) * 10 ** (level_db / 20)
    mixed: Samples = (background + np.float32(ratio) * sound).astype(np.float32)
    return mixed


def measure_levels(encoder: Encoder, library: Library) -> dict[str, dict[str, float]]:
    """Measure, for each level of the added sound, the norm and how often the sound is found."""
    drawn = np.random.default_rng(SEED)
    pairs = [drawn.choice(len(library.clips), 2, replace=False) for _ in range(PAIRS)]
    return {str(level): _measure_level(encoder, library, pairs, level) for level in LEVELS_DB}


def _measure_level(
    encoder: Encoder, library: Library, pairs: Sequence[np.ndarray], level_db: float
) -> dict[str, float]:
    clips, alone = library.clips, library.embeddings
    mixed = encoder.embed([mixture(clips[b], clips[a], level_db) for a, b in pairs])
    candidates = centre(alone, encoder.mean)
    found = np.zeros(2)
    norms = [relative_norm(m, alone[b]) for m, (_, b) in zip(mixed, pairs, strict=True)]
    for m, (a, b) in zip(mixed, pairs, strict=True):
        weight = encoder.reference_weight
        queries = (
            centre(m, encoder.mean),
            difference_query(m, alone[b], encoder.mean, weight),
        )
        for i, query in enumerate(queries):
            scores = candidates @ query
            scores[b] = -np.inf
            found[i] += scores.argmax() == a
    return _spread(norms) | {
        "found_by_mixture": round(found[0] / len(pairs), 4),
        "found_by_difference": round(found[1] / len(pairs), 4),
    }


def measure_alarms(encoder: Encoder, library: Library) -> dict[str, dict[str, float]]:
    """Measure the norm where nothing was added: another level, and a later start."""
    shift = round(SHIFT_S * encoder.sample_rate)
    variants = {
        f"{gain:+d} dB": [clip * np.float32(10 ** (gain / 20)) for clip in library.clips]
        for gain in GAINS_DB
    }
    variants[f"{1000 * SHIFT_S:g} ms later"] = [clip[shift:] for clip in library.clips]
    return {
        name: _spread(map_norms(encoder.embed(clips), library.embeddings))
        for name, clips in variants.items()
    }


def map_norms(embeddings: Embeddings, references: Embeddings) -> list[float]:
    """Return the relative norm of each pair."""
    return [relative_norm(a, b) for a, b in zip(embeddings, references, strict=True)]


def _spread(norms: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(norms, (10, 50, 90))
    return {
        "norm_p10": round(float(low), 4),
        "norm_median": round(float(middle), 4),
        "norm_p90": round(float(high), 4),
    }


def draw_plane(path: Path, encoder: Encoder, library: Library) -> None:
    """Draw f(mixture), f(reference) and their difference on the plane of the library."""
    index = library.names.index
    a, b = index(ADDED), index(BACKGROUND)
    mixed = encoder.embed([mixture(library.clips[b], library.clips[a], 0.0)])[0]
    centred = library.embeddings - encoder.mean
    _, _, axes = np.linalg.svd(centred - centred.mean(axis=0), full_matrices=False)

    def place(embedding: np.ndarray) -> np.ndarray:
        placed: np.ndarray = (embedding - encoder.mean) @ axes[:2].T
        return placed

    difference = mixed - library.embeddings[b]
    weight = encoder.reference_weight
    rest = mixed - np.float32(weight) * (library.embeddings[b] - encoder.mean)
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    ax = figure.subplots()
    ax.scatter(*place(library.embeddings).T, s=12, color="lightgrey", label="the demo's clips")
    points = {
        f"f(reference): {BACKGROUND}": (library.embeddings[b], "tab:blue"),
        f"f(added): {ADDED}": (library.embeddings[a], "tab:green"),
        "f(mixture)": (mixed, "tab:red"),
        f"searched with: {weight:g} of the reference taken away": (rest, "tab:purple"),
    }
    for name, (embedding, colour) in points.items():
        ax.scatter(*place(embedding), s=60, color=colour, label=name)
    start, end = place(library.embeddings[b]), place(mixed)
    arrow = {"arrowstyle": "->", "color": "black"}
    ax.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=arrow)
    label = f"difference, norm {np.linalg.norm(difference):.1f}"
    ax.annotate(label, (start + end) / 2, xytext=(-45, -45), textcoords="offset points")
    ax.set(xlabel="first principal component", ylabel="second principal component")
    ax.legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=DPI)


def draw_norms(
    path: Path, levels: dict[str, dict[str, float]], alarms: dict[str, dict[str, float]]
) -> None:
    """Draw the relative norm over the level of what was added, beside that of nothing added."""
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    added, nothing = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    xs = [float(level) for level in levels]
    added.plot(xs, [row["norm_median"] for row in levels.values()], "o-", color="tab:red")
    lows = [row["norm_p10"] for row in levels.values()]
    highs = [row["norm_p90"] for row in levels.values()]
    added.fill_between(xs, lows, highs, color="tab:red", alpha=0.2)
    added.set(xlabel="level of the added sound over the reference [dB]", ylabel="relative_norm")
    added.set_title("a sound was added")
    places = np.arange(len(alarms))
    middles = np.array([row["norm_median"] for row in alarms.values()])
    ends = [[row["norm_p10"], row["norm_p90"]] for row in alarms.values()]
    errors = np.abs(np.array(ends).T - middles)
    nothing.errorbar(places, middles, errors, fmt="s", color="tab:grey", capsize=3)
    nothing.set_xticks(places, list(alarms), rotation=45, ha="right", fontsize=8)
    nothing.set_title("nothing was added")
    for ax in (added, nothing):
        ax.grid(alpha=0.3)
        ax.set_ylim(bottom=0)
    figure.savefig(path, dpi=DPI)


def draw_found(path: Path, levels: dict[str, dict[str, float]]) -> None:
    """Draw over its level how often the added clip is the nearest of all but the reference."""
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    ax = figure.subplots()
    xs = [float(level) for level in levels]
    for key, name, style in (
        ("found_by_mixture", "searched with the mixture", "o--"),
        ("found_by_difference", "searched with the difference", "o-"),
    ):
        ax.plot(xs, [100 * row[key] for row in levels.values()], style, label=name)
    ax.set(
        xlabel="level of the added sound over the reference [dB]",
        ylabel="the added clip is the nearest [%]",
        ylim=(0, 100),
    )
    ax.grid(alpha=0.3)
    ax.legend()
    figure.savefig(path, dpi=DPI)


if __name__ == "__main__":
    main()
