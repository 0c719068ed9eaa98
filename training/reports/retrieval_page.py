"""Page ``docs/results/retrieval.md``: searches with a clip and a text."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.evaluation.interval import apart
from training.reports import published
from training.reports.render import render
from training.reports.retrieval_plots import draw_recall, draw_strength
from training.reports.rows import without_lambda

PAGE = "retrieval.md"
RESULTS = "retrieval-*.json"
ABLATION = "retrieval_ablation.json"
QUERIES: Mapping[str, str] = {
    "audio_and_text": "**audio and text**",
    "audio_alone": "audio alone, same towers",
    "text_alone": "text alone, same towers",
    "audio_only": "audio only, towers of its own",
    "text_only": "text only, towers of its own",
    "arithmetic": "arithmetic that knows the change",
    "embedding_alone": "embeddings as they are",
    "random": "random",
}
"""Kinds of queries by their key in the results."""
SINGLE = ("audio_alone", "text_alone", "audio_only", "text_only")
RECALLS = ("r_at_1", "r_at_5", "r_at_10")
PROVENANCE = ("commit", "seconds_per_pair")
"""Entries of a set of pairs that the pairs do not depend on."""

Result = Mapping[str, Any]


def write_page(folder: Path) -> Path:
    """Render the page and its plots.

    ``retrieval-SCENE.json`` is shown in full, ``retrieval-SCENE-ANYTHING.json`` (of other
    encoders) in one line of the table of encoders.

    Args:
        folder: Holds the results files; the page and the plots are written there.

    Returns:
        The page.

    Raises:
        DatasetError: There are no results of retrieval.
    """
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(RESULTS))
    }
    if not results:
        raise DatasetError(f"{folder} holds no {RESULTS}; `evaluate retrieval` makes them")
    shown = {name: it for name, it in results.items() if name == f"retrieval-{_scene(it)}"}
    draw_recall(folder / "retrieval_recall.png", shown, QUERIES)
    draw_strength(folder / "retrieval_strength.png", shown)
    ablation = folder / ABLATION
    page = render(
        "retrieval",
        encoders=list(_encoders(results)),
        lambda_gains=list(lambda_gains(results.values())),
        results=shown,
        margins={name: margins(result["systems"]) for name, result in shown.items()},
        ablation=json.loads(ablation.read_text(encoding="utf-8")) if ablation.is_file() else None,
        ablation_file=ABLATION,
        queries=QUERIES,
        mean=mean,
        with_interval=with_interval,
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def _encoders(results: Mapping[str, Result]) -> Iterator[dict[str, Any]]:
    """Return a line of table 2 for every encoder, by scene and lambda."""
    lines = sorted((_scene(it), _lambda(it) or 0.0, name, it) for name, it in results.items())
    for scene, _, name, result in lines:
        value = _lambda(result)
        theirs = () if value is None else published.RETRIEVAL.get(scene, {}).get(value, ())
        yield {"name": name, "scene": scene, "lambda": value, "result": result, "published": theirs}


def lambda_gains(results: Collection[Result]) -> Iterator[dict[str, Any]]:
    """Compare encoders that differ in lambda alone with the one of lambda 0.

    Yields:
        Scene, lambda, and for R@1, R@5 and R@10: the gain in points, whether no seed of the one
        lies between those of the other, and the gain in the paper (None where it has none).
    """
    for result in results:
        value, scene = _lambda(result), _scene(result)
        same = (it for it in results if _lambda(it) == 0 and _setup(it) == _setup(result))
        base = next(same, None)
        if not value or base is None:
            continue
        theirs = published.RETRIEVAL.get(scene, {})
        gains = []
        for i, key in enumerate(RECALLS):
            ours, before = (it["systems"]["audio_and_text"][key] for it in (result, base))
            gains.append(
                {
                    "points": 100 * (ours["mean"] - before["mean"]),
                    "decided": apart(ours["values"], before["values"]),
                    "published": theirs[value][i] - theirs[0.0][i] if value in theirs else None,
                }
            )
        yield {"scene": scene, "lambda": value, "gains": gains}


def margins(systems: Mapping[str, Any]) -> dict[str, float]:
    """Compare audio and text together with the best of the four single inputs.

    Returns:
        The ratio at R@1 and the difference at R@10 in points.
    """
    both = systems["audio_and_text"]
    best = {k: max(mean(systems[name][k]) for name in SINGLE) for k in ("r_at_1", "r_at_10")}
    return {
        "ratio": mean(both["r_at_1"]) / best["r_at_1"],
        "points": 100 * (mean(both["r_at_10"]) - best["r_at_10"]),
    }


def with_interval(figure: Any, *, is_rank: bool = False) -> str:
    """Write a share in percent, or a rank, with the half width of its interval if there is one."""
    factor, unit = (1, "") if is_rank else (100, " %")
    half = figure["interval"] if isinstance(figure, Mapping) else None
    spread = "" if half is None else f" ± {factor * half:.1f}"
    return f"{factor * mean(figure):.1f}{spread}{unit}"


def mean(figure: Any) -> float:
    """Return the mean of a figure, whether it was measured once or over seeds."""
    return float(figure["mean"] if isinstance(figure, Mapping) else figure)


def _scene(result: Result) -> str:
    return str(result["data"]["test"]["scene"])


def _lambda(result: Result) -> float | None:
    value: float | None = result["encoder_recipe"].get("loss", {}).get("lambda")
    return value


def _setup(result: Result) -> str:
    """Return the setup that experiments must share to be compared over lambda."""
    test = result["data"]["test"]
    pairs = {name: value for name, value in test.items() if name not in PROVENANCE}
    trained = [without_lambda(result["encoder_recipe"]), result["encoder_samples_seen"]]
    return json.dumps([*trained, result["recipe_sha256"], pairs], sort_keys=True)
