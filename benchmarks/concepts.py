"""Figures of differences of embeddings: positions, norms, and share of successful searches.

    python benchmarks/concepts.py [BUNDLE]

Draws ``docs/figures/`` and writes ``docs/results/concepts.json`` from the clips of the demo: where
a mixture, its parts and their difference lie; the norm of a difference, beside that of a change of
level or a shift; and how often the added clip is found, by its level.
"""

from __future__ import annotations

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

CLIPS = results.DEMO / "clips"
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
    """The clips of the demo and their embeddings, in the order of their names."""

    names: list[str]
    clips: list[Samples]
    embeddings: Embeddings


def main() -> None:
    """Measure, draw and write."""
    bundle = load_bundle(results.bundle_path())
    encoder = Encoder.open(bundle, device="cpu")
    paths = sorted(CLIPS.glob("*.ogg"))
    clips = [decode(path, sample_rate=encoder.sample_rate).samples for path in paths]
    library = Library([path.stem for path in paths], clips, encoder.embed(clips))
    levels = measure_levels(encoder, library)
    unchanged = measure_unchanged(encoder, library)
    results.write(
        "concepts",
        {
            "bundle": bundle.manifest.id,
            "fingerprint": encoder.fingerprint,
            "reference_weight": encoder.reference_weight,
            "clips": len(clips),
            "pairs": PAIRS,
            "by_level_db": levels,
            "nothing_added": unchanged,
        },
    )
    FIGURES.mkdir(exist_ok=True)
    draw_plane(FIGURES / "plane.png", encoder, library)
    draw_norms(FIGURES / "norms.png", levels, unchanged)
    draw_recall(FIGURES / "found.png", levels)


def mixture(background: Samples, added: Samples, level_db: float) -> Samples:
    """Add a sound to a background, at a level over it and for its whole length."""
    repeated = np.resize(added, background.size)
    ratio = np.sqrt(np.mean(background**2) / np.mean(repeated**2)) * 10 ** (level_db / 20)
    mixed: Samples = (background + np.float32(ratio) * repeated).astype(np.float32)
    return mixed


def measure_levels(encoder: Encoder, library: Library) -> dict[str, dict[str, float]]:
    """Measure the norm, and how often the added sound is found, for each of its levels."""
    rng = np.random.default_rng(SEED)
    pairs = [rng.choice(len(library.clips), 2, replace=False) for _ in range(PAIRS)]
    return {str(level): _measure_level(encoder, library, pairs, level) for level in LEVELS_DB}


def _measure_level(
    encoder: Encoder, library: Library, pairs: Sequence[np.ndarray], level_db: float
) -> dict[str, float]:
    clips, alone = library.clips, library.embeddings
    mixed = encoder.embed([mixture(clips[b], clips[a], level_db) for a, b in pairs])
    candidates = centre(alone, encoder.mean)
    found = np.zeros(2)
    for m, (a, b) in zip(mixed, pairs, strict=True):
        difference = difference_query(m, alone[b], encoder.mean, encoder.reference_weight)
        queries = centre(m, encoder.mean), difference
        for i, query in enumerate(queries):
            scores = candidates @ query
            scores[b] = -np.inf
            found[i] += scores.argmax() == a
    return _spread(relative_norms(mixed, alone[[b for _, b in pairs]])) | {
        "found_by_mixture": round(found[0] / len(pairs), 4),
        "found_by_difference": round(found[1] / len(pairs), 4),
    }


def measure_unchanged(encoder: Encoder, library: Library) -> dict[str, dict[str, float]]:
    """Measure the norm if nothing is added: for other levels, and for a later start."""
    shift = round(SHIFT_S * encoder.sample_rate)
    variants = {
        f"{gain:+d} dB": [clip * np.float32(10 ** (gain / 20)) for clip in library.clips]
        for gain in GAINS_DB
    }
    variants[f"{1000 * SHIFT_S:g} ms later"] = [clip[shift:] for clip in library.clips]
    return {
        name: _spread(relative_norms(encoder.embed(clips), library.embeddings))
        for name, clips in variants.items()
    }


def relative_norms(embeddings: Embeddings, references: Embeddings) -> list[float]:
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

    def project(embedding: np.ndarray) -> np.ndarray:
        point: np.ndarray = (embedding - encoder.mean) @ axes[:2].T
        return point

    difference = mixed - library.embeddings[b]
    weight = encoder.reference_weight
    query = mixed - np.float32(weight) * (library.embeddings[b] - encoder.mean)
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    ax = figure.subplots()
    ax.scatter(*project(library.embeddings).T, s=12, color="lightgrey", label="the demo's clips")
    points = {
        f"f(reference): {BACKGROUND}": (library.embeddings[b], "tab:blue"),
        f"f(added): {ADDED}": (library.embeddings[a], "tab:green"),
        "f(mixture)": (mixed, "tab:red"),
        f"searched with: {weight:g} of the reference taken away": (query, "tab:purple"),
    }
    for name, (embedding, colour) in points.items():
        ax.scatter(*project(embedding), s=60, color=colour, label=name)
    start, end = project(library.embeddings[b]), project(mixed)
    arrow = {"arrowstyle": "->", "color": "black"}
    ax.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=arrow)
    label = f"difference, norm {np.linalg.norm(difference):.1f}"
    ax.annotate(label, (start + end) / 2, xytext=(-45, -45), textcoords="offset points")
    ax.set(xlabel="first principal component", ylabel="second principal component")
    ax.legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=DPI)


def draw_norms(
    path: Path, levels: dict[str, dict[str, float]], unchanged: dict[str, dict[str, float]]
) -> None:
    """Draw the relative norm by the level of the added sound, and that if nothing is added."""
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    added, nothing = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    xs = [float(level) for level in levels]
    added.plot(xs, [row["norm_median"] for row in levels.values()], "o-", color="tab:red")
    lows = [row["norm_p10"] for row in levels.values()]
    highs = [row["norm_p90"] for row in levels.values()]
    added.fill_between(xs, lows, highs, color="tab:red", alpha=0.2)
    added.set(xlabel="level of the added sound over the reference [dB]", ylabel="relative_norm")
    added.set_title("a sound was added")
    positions = np.arange(len(unchanged))
    middles = np.array([row["norm_median"] for row in unchanged.values()])
    ends = [[row["norm_p10"], row["norm_p90"]] for row in unchanged.values()]
    errors = np.abs(np.array(ends).T - middles)
    nothing.errorbar(positions, middles, errors, fmt="s", color="tab:grey", capsize=3)
    nothing.set_xticks(positions, list(unchanged), rotation=45, ha="right", fontsize=8)
    nothing.set_title("nothing was added")
    for ax in (added, nothing):
        ax.grid(alpha=0.3)
        ax.set_ylim(bottom=0)
    figure.savefig(path, dpi=DPI)


def draw_recall(path: Path, levels: dict[str, dict[str, float]]) -> None:
    """Draw how often the added clip is the nearest except the reference, by its level."""
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
