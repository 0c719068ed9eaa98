"""Renders ``docs/results/retrieval.md`` and its plots from the results files beside it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.evaluation.interval import apart
from training.reports import paper
from training.reports.rows import but_lambda
from training.reports.towers_plots import draw_recall, draw_strength

PAGE = "retrieval.md"
RESULTS = "retrieval-*.json"
ABLATION = "retrieval_ablation.json"
SYSTEMS: Mapping[str, str] = {
    "audio_and_text": "**audio and text**",
    "audio_alone": "audio alone, same towers",
    "text_alone": "text alone, same towers",
    "audio_only": "audio only, towers of its own",
    "text_only": "text only, towers of its own",
    "arithmetic": "arithmetic that knows the change",
    "embedding_alone": "embeddings as they are",
    "random": "random",
}
SINGLE = ("audio_alone", "text_alone", "audio_only", "text_only")
FIGURES: Mapping[str, str] = {
    "r_at_1": "R@1",
    "r_at_5": "R@5",
    "r_at_10": "R@10",
    "bed_r_at_1": "R@1 in bed",
    "bed_r_at_10": "R@10 in bed",
    "bed_mean_rank": "mean rank in bed",
}

# What a set of pairs tells of how it was made, which the pairs do not depend on.
MAKING = ("commit", "seconds_per_pair")

HEAD = """# Retrieval with text

"Like this, but ...": a clip and a text are searched with, the clip that was rendered with the asked
for changes is to be found. Every figure on this page stands in one of the files it names; each
names its command, commit, recipe, data, seeds and machine. The page and its plots are made by
`minuend-train evaluate retrieval-page`.

1,000 candidates: the targets of 20 beds of two background recordings, 50 of each; the clip searched
with is none of them. "In bed" ranks among the 50 of its own bed only. Means over the seeds, with
the 95 % interval by Student's t; nothing that is tested on was heard by the towers. *Arithmetic*
is told the true change and adds the centroid of the named class to the query's embedding, or takes
it away, by the step that does best on training pairs. "Towers of its own" were trained with that
term alone.
"""
ENCODERS = """## Encoders (the paper's table 2)

Towers of the same recipe, pairs and seeds on different encoders. Orders and gains compare with the
paper's, heights do not: its candidates lie over some 400 to 1,000 pairs of recordings, so that the
background alone finds many of them, where here 50 candidates share each pair. Below the table
stands what lambda alone did; a difference is decided where no seed of the towers on the one side
lies between those of the other. There is one pre-training for each lambda, whose own chance the
seeds of the towers do not show.
"""


def write_page(folder: Path) -> Path:
    """Render the page and its plots.

    ``retrieval-SCENE.json`` is shown whole; of ``retrieval-SCENE-ANYTHING.json``, which other
    encoders have, one line.

    Args:
        folder: Holds the results files; the page and the plots go there.

    Raises:
        DatasetError: There are no results of retrieval.
    """
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(RESULTS))
    }
    if not results:
        raise DatasetError(f"{folder} holds no {RESULTS}; `evaluate retrieval` makes them")
    shown = {name: result for name, result in results.items() if name == _own_name(result)}
    draw_recall(folder / "retrieval_recall.png", shown, SYSTEMS)
    draw_strength(folder / "retrieval_strength.png", shown)
    parts = [HEAD, render_encoders(results), "![Recall](retrieval_recall.png)\n"]
    parts += [render_result(name, result) for name, result in shown.items()]
    parts.append("![What the strength of the text does](retrieval_strength.png)\n")
    if (folder / ABLATION).is_file():
        parts.append(render_ablation(json.loads((folder / ABLATION).read_text(encoding="utf-8"))))
    (folder / PAGE).write_text("\n".join(parts), encoding="utf-8")
    return folder / PAGE


def render_encoders(results: Mapping[str, Any]) -> str:
    """Tabulate audio and text for every encoder, as table 2 of the paper does."""
    rows = []
    for name, result in sorted(results.items(), key=_by_scene_and_lambda):
        measured = result["systems"]["audio_and_text"]
        shown = [show(measured[key]) for key in ("r_at_1", "r_at_5", "r_at_10")]
        weight, scene = _lambda(result), result["data"]["test"]["scene"]
        theirs = None if weight is None else paper.RETRIEVAL.get(scene, {}).get(weight)
        encoder = f"{result['bundle']}, {result['encoder_samples_seen']:,} samples"
        rows.append(
            [
                f"[{scene}]({name}.json)",
                *("not stated" if weight is None else f"{weight:g}", encoder, *shown),
                " / ".join(f"{value:.1f}" for value in theirs or ()),
            ]
        )
    heads = ["scene", "lambda", "encoder", "R@1", "R@5", "R@10", "the paper's [%]"]
    verdicts = "".join(f"- {verdict}\n" for verdict in judge_lambda(results.values()))
    return ENCODERS + "\n" + table(heads, rows) + ("\n" + verdicts if verdicts else "")


def judge_lambda(results: Collection[Mapping[str, Any]]) -> Iterator[str]:
    """Say what lambda did, scene by scene, beside what it did in the paper.

    Encoders are compared that differ in lambda alone. Seeds decide on a difference where none of
    the one side lies between those of the other.
    """
    for result in results:
        weight = _lambda(result)
        bases = [
            it for it in results if _lambda(it) == 0 and _but_lambda(it) == _but_lambda(result)
        ]
        if not weight or not bases:
            continue
        scene = result["data"]["test"]["scene"]
        theirs = paper.RETRIEVAL.get(scene, {})
        gains = [
            f"{FIGURES[key]} {_gain(result, bases[0], key)}"
            + (f", paper {theirs[weight][i] - theirs[0.0][i]:+.1f}" if weight in theirs else "")
            for i, key in enumerate(("r_at_1", "r_at_5", "r_at_10"))
        ]
        yield f"{scene}, lambda {weight:g} over 0, in points: {'; '.join(gains)}."


def _by_scene_and_lambda(named: tuple[str, Mapping[str, Any]]) -> tuple[str, float, str]:
    name, result = named
    return result["data"]["test"]["scene"], _lambda(result) or 0.0, name


def _lambda(result: Mapping[str, Any]) -> float | None:
    weight: float | None = result["encoder_recipe"].get("loss", {}).get("lambda")
    return weight


def _but_lambda(result: Mapping[str, Any]) -> str:
    """Name what experiments must share to be compared over lambda."""
    pairs = {name: value for name, value in result["data"]["test"].items() if name not in MAKING}
    trained = [but_lambda(result["encoder_recipe"]), result["encoder_samples_seen"]]
    return json.dumps([*trained, result["recipe_sha256"], pairs], sort_keys=True)


def _gain(result: Mapping[str, Any], base: Mapping[str, Any], key: str) -> str:
    ours, theirs = (it["systems"]["audio_and_text"][key] for it in (result, base))
    said = "decided" if apart(ours["values"], theirs["values"]) else "undecided"
    return f"{100 * (ours['mean'] - theirs['mean']):+.1f} ({said})"


def _own_name(result: Mapping[str, Any]) -> str:
    """Name the file of a scene whose encoder is the one that is shipped."""
    return f"retrieval-{result['data']['test']['scene']}"


def render_result(name: str, result: Mapping[str, Any]) -> str:
    """Render all that was measured of one scene with one encoder."""
    test = result["data"]["test"]
    hardware = result["hardware"]
    parts = [
        f"## {test['scene'].capitalize()} ([{name}.json]({name}.json))\n",
        f"Encoder `{result['encoder'][:16]}` (bundle {result['bundle']}), recipe "
        f"`{result['recipe']['name']}` (`{result['recipe_sha256'][:16]}`), "
        f"{result['data']['train']['n_pairs']:,} training pairs, {result['test_pairs']:,} test "
        f"pairs, seeds {', '.join(map(str, result['seeds']))}, commit `{result['commit']}`, "
        f"{hardware['cores']} cores of {hardware['processor']}.\n",
        render_systems(result["systems"]),
        render_margins(result["systems"]),
        render_words(result["words"]),
        render_kinds(result["kinds"]),
        render_strength(result["strength"]),
    ]
    if "phrases" in result:
        parts.append(render_phrases(result["phrases"]))
    return "\n".join(parts)


def render_systems(systems: Mapping[str, Any]) -> str:
    """Tabulate every way to search."""
    rows = [
        [title, *(show(systems[key][figure], figure) for figure in FIGURES)]
        for key, title in SYSTEMS.items()
    ]
    return table(["searched with", *FIGURES.values()], rows)


def render_margins(systems: Mapping[str, Any]) -> str:
    """Say how far audio and text together are ahead of the better of the two."""
    both = systems["audio_and_text"]
    best = {k: max(mean(systems[name][k]) for name in SINGLE) for k in ("r_at_1", "r_at_10")}
    ratio = mean(both["r_at_1"]) / best["r_at_1"]
    points = 100 * (mean(both["r_at_10"]) - best["r_at_10"])
    return (
        f"R@1 is {ratio:.2f} times and R@10 is {points:.1f} points above the best of the four "
        "single inputs.\n"
    )


def render_words(words: Mapping[str, Any]) -> str:
    """Tabulate what words that were never trained on cost."""
    rows = []
    for name, measured in words.items():
        share = mean(measured["r_at_10"]) / mean(words["seen"]["r_at_10"])
        shown = [show(measured[key]) for key in ("r_at_1", "r_at_5", "r_at_10")]
        rows.append([name.replace("_", " "), *shown, f"{share:.0%}"])
    return table(["words", "R@1", "R@5", "R@10", "R@10 of that with seen words"], rows)


def render_kinds(kinds: Mapping[str, Any]) -> str:
    """Tabulate recall by kind of change."""
    rows = [
        [
            kind,
            str(measured["pairs"]),
            *(show(measured[k]) for k in ("r_at_1", "r_at_5", "r_at_10")),
        ]
        for kind, measured in kinds.items()
    ]
    return table(["change", "pairs", "R@1", "R@5", "R@10"], rows)


def render_strength(strength: Mapping[str, Any]) -> str:
    """Tabulate what the strength of the text does."""
    rows = [
        [value, *(show(measured[k]) for k in ("fulfilled", "r_at_1", "r_at_10"))]
        for value, measured in strength.items()
    ]
    heads = ["`modifier_strength`", "share of the first 10 that fulfil the change", "R@1", "R@10"]
    return table(heads, rows)


def render_phrases(phrases: Mapping[str, Any]) -> str:
    """Tabulate how often a difference is named rightly."""
    rows = [
        [title, show(phrases[key]["first"]), show(phrases[key]["among_five"])]
        for key, title in (
            ("whole_bank", f"all {phrases['phrases']} phrases of the bank, as `/difference` ranks"),
            ("events_only", "the classes of events only"),
            ("linear_probe", "a linear probe on the clean events, which is told no words"),
        )
    ]
    head = f"{phrases['mixtures']} unseen mixtures, an excerpt of the same background taken away:\n"
    return f"{head}\n" + table(["ranked", "the right one is first", "among the first five"], rows)


def render_ablation(result: Mapping[str, Any]) -> str:
    """Tabulate what the parts of the recipe are worth."""
    rows = []
    for name, measured in result["variants"].items():
        found, phrases = measured["retrieval"], measured["phrases"]
        shown = [show(found[k], k) for k in ("r_at_1", "r_at_10", "bed_r_at_1", "bed_mean_rank")]
        rows.append([name, *shown, show(phrases["first"])])
    text = (
        f"## What the parts of the recipe are worth ([{ABLATION}]({ABLATION}))\n\n"
        f"Measured on {result['held_out_pairs']:,} pairs of held-out sources of the *training* "
        f"side, after training on the {result['trained_pairs']:,} pairs that share none with them; "
        f"seeds {', '.join(map(str, result['seeds']))}. Encoder `{result['encoder'][:16]}`, recipe "
        f"`{result['recipe_sha256'][:16]}`, commit `{result['commit']}`.\n\n"
    )
    heads = ["variant", "R@1", "R@10", "R@1 in bed", "mean rank in bed", "first phrase is right"]
    return text + table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join(lines) + "\n"


def show(figure: Any, name: str = "") -> str:
    """Write a share in percent, a rank as it is; with the half width of its interval."""
    factor, unit = (1, "") if name.endswith("rank") else (100, " %")
    if not isinstance(figure, Mapping):
        return f"{factor * figure:.1f}{unit}"
    half = figure["interval"]
    spread = "" if half is None else f" ± {factor * half:.1f}"
    return f"{factor * figure['mean']:.1f}{spread}{unit}"


def mean(figure: Any) -> float:
    """Take the mean of a figure, whether it was measured once or over seeds."""
    return float(figure["mean"] if isinstance(figure, Mapping) else figure)
