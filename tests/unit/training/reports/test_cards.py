from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import tiny_run

from service.bundle.files import load_bundle
from service.bundle.manifest import (
    BundleManifest,
    ChangeInfo,
    DataSource,
    EncoderVariant,
    KnownAnswer,
    TowersInfo,
    TowersTraining,
)
from training.cli.train import pretrain
from training.data.manifest import SourceClip
from training.pretraining.metrics import METRICS
from training.recipe import load_recipe
from training.reports.cards import (
    CARD,
    LOSS_PLOT,
    put_change,
    put_encoder,
    put_towers,
    render_card,
    render_towers,
    write_card,
)

NOT_MEASURED = {"held_out_clips": 0, "held_out_pairs": 0, "parity_with_torch": 2.5e-6}
MEASURED = {
    **{"held_out_clips": 20, "held_out_pairs": 80, "parity_with_torch": 2.5e-6},
    **{"first_0": 0.125, "first_w": 0.75, "first_1": 0.5},
    **{"rank_0": 0.25, "rank_w": 0.875, "rank_1": 0.625},
}
FIGURES = {
    "pairs": 500.0,
    "difference_cosine_median": 0.9991,
    "difference_cosine_p1": 0.9876,
    "recall_at_10": 0.511,
    "recall_at_10_float32": 0.513,
}
INT8 = EncoderVariant(
    file="encoder.int8.onnx", precision="int8", tolerance=0.01, cpu_speed=1.67, figures=FIGURES
)
CHANGE = ChangeInfo(
    file="change.npz",
    false_alarm_rate=0.05,
    excerpt_s=5.0,
    commit="abc",
    data=[],
    scores={"recordings": 12},
)
RAIN = DataSource(corpus="rain", clips=30, seconds=600.0, licences={"CC0": 10, "CC-BY": 20})
ESC50 = DataSource(corpus="esc50", clips=9, seconds=45.0, licences={"CC0": 9})


def manifest(path: Path, **training: Any) -> BundleManifest:
    """The manifest of a tiny bundle, as an export of a tiny run would write it."""
    written = load_bundle(path).manifest
    stated = {"recipe": tiny_run.recipe().to_dict(), "samples_seen": 123_456} | training
    updated = {"training": written.training.model_copy(update=stated), "scores": MEASURED}
    return written.model_copy(update=updated)


def towers(*data: DataSource) -> TowersInfo:
    return TowersInfo(
        fingerprint="ab" * 32,
        dim=512,
        audio_tower="audio_tower.onnx",
        text_encoder="text_encoder.onnx",
        text_precision="int8",
        tokenizer="tokenizer.json",
        max_tokens=128,
        text_bank="text_bank.json",
        known_answer=KnownAnswer(file="k.npz", tolerance=1e-4),
        training=TowersTraining(
            recipe={"name": "retrieval", "seed": 42},
            recipe_sha256="cd" * 32,
            commit="0123456789ab",
            pairs=12_345,
            data=list(data),
        ),
        scores={"int8_cosine": 0.99951, "weights": "53aa"},
    )


def clip(permissive: str) -> SourceClip:
    return SourceClip(Path("data"), "a.wav", {"permissive": permissive})


def test_the_card_has_the_figures_of_the_manifest(tiny_bundle_path: Path) -> None:
    written = manifest(tiny_bundle_path, data=[RAIN], precision="bfloat16", parent="parent0")
    card = render_card(written)
    for fact in (
        *(written.id, written.encoder.fingerprint, written.training.recipe_sha256, "parent0"),
        *("123,456 samples", json.dumps(written.training.recipe, indent=2), "bfloat16"),
        *("| rain | 30 | 10 | CC-BY (20), CC0 (10) |", "20 clips", "2.5e-06", written.licence),
        *("| 0.125 | 0.250 |", "| 0.750 | 0.875 |", "| 0.500 | 0.625 |"),
    ):
        assert fact in card
    for absent in ("## Variants", "ESC-50"):
        assert absent not in card


def test_the_card_has_the_figures_of_other_recordings(tiny_bundle_path: Path) -> None:
    other = {"other_first_0": 0.11, "other_first_w": 0.66, "other_first_1": 0.22}
    other |= {"other_rank_0": 0.33, "other_rank_w": 0.77, "other_rank_1": 0.44, "other_pairs": 33}
    written = manifest(tiny_bundle_path)
    card = render_card(written.model_copy(update={"scores": MEASURED | other}))
    for fact in ("33 of the mixtures", "| 0.110 | 0.330 |", "| 0.660 | 0.770 |"):
        assert fact in card
    assert "another recording" not in render_card(written)


def test_without_held_out_clips_no_scores_are_shown(tiny_bundle_path: Path) -> None:
    card = render_card(manifest(tiny_bundle_path).model_copy(update={"scores": NOT_MEASURED}))
    assert "Nothing was held out" in card
    assert "default of 0.5" in card


def test_the_terms_of_esc50_are_stated_where_it_was_used(tiny_bundle_path: Path) -> None:
    assert "CC BY-NC 3.0" in render_card(manifest(tiny_bundle_path, data=[ESC50]))
    assert "CC BY-NC 3.0" in render_towers(towers(ESC50), [])
    assert "CC BY-NC 3.0" not in render_towers(towers(RAIN), [])


def test_the_command_on_the_card_trains_by_the_recipe_on_the_card(tiny_bundle_path: Path) -> None:
    settings = ["loss.lambda=0.2", "data.exclude.corpus=[a, b]", "optim.epochs=3"]
    recipe = load_recipe("table", settings)
    card = render_card(manifest(tiny_bundle_path, recipe=recipe.to_dict()))
    (line,) = (line for line in card.splitlines() if line.startswith("minuend-train pretrain"))
    with pretrain.make_context("pretrain", shlex.split(line)[2:]) as context:
        assert context.params["name"] == "table"
        assert load_recipe("table", context.params["overrides"]) == recipe


def test_a_recipe_that_is_not_shipped_is_to_be_saved_first(tiny_bundle_path: Path) -> None:
    card = render_card(manifest(tiny_bundle_path, parent="abc"))
    assert "with the recipe above saved as `tiny.yaml`:" in card
    assert "--recipe tiny.yaml --init BUNDLE_OF_THAT_ENCODER --data" in card


@pytest.mark.parametrize("steps", [0, 3])
def test_the_losses_are_drawn(tiny_bundle_path: Path, tmp_path: Path, steps: int) -> None:
    lines = [
        {"step": i, "samples": 4 * i, "byol": 3.0 - i, "difference": 3.5 - i, "embedding_std": 0.3}
        for i in range(steps)
    ]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_card(tmp_path, manifest(tiny_bundle_path))
    assert (tmp_path / LOSS_PLOT).read_bytes().startswith(b"\x89PNG")
    assert f"]({LOSS_PLOT})" in (tmp_path / CARD).read_text(encoding="utf-8")


def test_clips_that_are_not_permissive_are_stated() -> None:
    shippable = "lets a model trained on it be shipped"
    assert shippable in render_towers(towers(), [clip("1")])
    section = render_towers(towers(), [clip("1"), clip("0"), clip("0")])
    assert "**2 of these clips are not under a permissive licence" in section
    assert shippable not in section


def test_each_part_is_replaced_and_the_others_stay(tiny_bundle_path: Path, tmp_path: Path) -> None:
    written, card = manifest(tiny_bundle_path), tmp_path / CARD
    encoder = written.encoder.model_copy(update={"variants": (INT8,)})
    for _ in range(2):
        put_towers(tmp_path, towers(), [])
        put_change(tmp_path, CHANGE)
        put_encoder(tmp_path, written.model_copy(update={"encoder": encoder}))
    text = card.read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[-4:] == [
        "## Variants",
        "## What it is not good for",
        "## Has anything changed?",
        "## The towers",
    ]
    assert len(headings) == len(set(headings))
    assert "| float32 | 1 | | | 0.513 |" in text
    assert "| int8 | 1.67 times as many | 0.9991 | 0.9876 | 0.511 |" in text

    scores = MEASURED | {"parity_with_torch": 3.5e-6}
    put_encoder(tmp_path, written.model_copy(update={"scores": scores}))

    renewed = card.read_text(encoding="utf-8")
    assert (
        renewed
        == text[: text.index("## Variants")].replace("2.5e-06", "3.5e-06")
        + (text[text.index("## What it is not good for") :])
    )
