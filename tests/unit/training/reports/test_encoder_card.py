from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import tiny_run

from service.bundle.files import load_bundle
from service.bundle.manifest import BundleManifest, DataSource, EncoderVariant
from training.cli.pretrain import command
from training.pretraining.metrics import METRICS
from training.recipe import load_recipe
from training.reports.encoder_card import LOSS_PICTURE, put_variants, render_card, write_card

MEASURED = {"held_out_clips": 20, "held_out_pairs": 80, "parity_with_torch": 2.5e-6}
SHARES = {
    f"{kind}_{name}": value
    for kind in ("first", "rank")
    for name, value in zip("0w1", (0.125, 0.75, 0.5), strict=True)
}
NOT_MEASURED = {"held_out_clips": 0, "held_out_pairs": 0, "parity_with_torch": 2.5e-6}


def manifest(path: Path, **training: Any) -> BundleManifest:
    """The manifest of a tiny bundle, as an export of a tiny run would write it."""
    written = load_bundle(path).manifest
    stated = {"recipe": tiny_run.recipe().to_dict(), "samples_seen": 123_456} | training
    return written.model_copy(
        update={
            "training": written.training.model_copy(update=stated),
            "scores": MEASURED | SHARES,
        }
    )


def test_the_card_says_what_the_manifest_says(tiny_bundle_path: Path) -> None:
    data = [
        DataSource(corpus="rain", clips=30, seconds=600.0, licences={"CC0": 10, "CC-BY": 20}),
        DataSource(corpus="dogs", clips=5, seconds=60.0, licences={"CC0": 5}),
    ]
    written = manifest(tiny_bundle_path, data=data)
    card = render_card(written)
    for fact in (
        *("# Model card: tiny-0", written.encoder.fingerprint, written.training.recipe_sha256),
        *("123,456 samples", json.dumps(written.training.recipe, indent=2), "2.5e-06"),
        *("| rain | 30 | 10 | CC-BY (20), CC0 (10) |", "| dogs | 5 | 1 | CC0 (5) |"),
        *("0.125", "0.750", "0.500", "20 clips", written.licence),
    ):
        assert fact in card
    assert "going on from" not in card
    assert "multiplied in" not in card
    assert "multiplied in bfloat16" in render_card(manifest(tiny_bundle_path, precision="bfloat16"))
    assert "ESC-50" not in card


def test_the_card_says_so_when_nothing_was_held_out(tiny_bundle_path: Path) -> None:
    unmeasured = manifest(tiny_bundle_path).model_copy(update={"scores": NOT_MEASURED})
    card = render_card(unmeasured)
    assert "Nothing was held out" in card
    assert "default of 0.5" in card


def test_the_card_names_what_training_went_on_from(tiny_bundle_path: Path) -> None:
    card = render_card(manifest(tiny_bundle_path, parent="abc"))
    assert "going on from the encoder `abc`" in card
    assert "--init " in card


def test_the_card_is_plain_about_esc50(tiny_bundle_path: Path) -> None:
    data = [DataSource(corpus="esc50", clips=9, seconds=45.0, licences={"CC0": 9})]
    card = render_card(manifest(tiny_bundle_path, data=data))
    assert "CC BY-NC 3.0" in card
    assert "--set data.exclude.corpus=esc50" in card


def test_the_card_s_command_trains_by_the_recipe_on_the_card(tiny_bundle_path: Path) -> None:
    settings = ["loss.lambda=0.2", "data.exclude.corpus=[a, b]", "optim.epochs=3"]
    recipe = load_recipe("table", settings)
    card = render_card(manifest(tiny_bundle_path, recipe=recipe.to_dict()))
    (line,) = (line for line in card.splitlines() if line.startswith("minuend-train pretrain"))
    with command.make_context("pretrain", shlex.split(line)[2:]) as context:
        assert context.params["name"] == "table"
        assert load_recipe("table", context.params["overrides"]) == recipe


def test_a_recipe_that_is_not_shipped_is_to_be_saved_first(tiny_bundle_path: Path) -> None:
    card = render_card(manifest(tiny_bundle_path))
    assert "with the recipe above saved as `tiny.yaml`:" in card
    assert "--recipe tiny.yaml --data" in card


@pytest.mark.parametrize("steps", [0, 3])
def test_the_losses_are_drawn(tiny_bundle_path: Path, tmp_path: Path, steps: int) -> None:
    lines = [
        {"step": i, "samples": 4 * i, "byol": 3.0 - i, "difference": 3.5 - i, "embedding_std": 0.3}
        for i in range(steps)
    ]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_card(tmp_path, manifest(tiny_bundle_path))
    assert (tmp_path / LOSS_PICTURE).read_bytes().startswith(b"\x89PNG")
    assert f"]({LOSS_PICTURE})" in (tmp_path / "MODEL_CARD.md").read_text()


def test_variants_are_put_into_a_card_and_all_else_stays(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    figures = {
        "pairs": 500.0,
        "difference_cosine_median": 0.9991,
        "difference_cosine_p1": 0.9876,
        "recall_at_10": 0.511,
        "recall_at_10_float32": 0.513,
    }
    variant = EncoderVariant(
        file="encoder.int8.onnx", precision="int8", tolerance=0.01, cpu_speed=1.67, figures=figures
    )
    card = tmp_path / "MODEL_CARD.md"
    plain = render_card(manifest(tiny_bundle_path)) + "\n## Towers\n\nMore of it.\n"
    card.write_text(plain)
    for _ in range(2):
        put_variants(tmp_path, [variant])
        text = card.read_text()
        assert "| int8 | 1.67 times as many | 0.9991 | 0.9876 | 0.511 |" in text
        assert "| float32 | 1 | | | 0.513 |" in text
        assert text.count("## Variants") == text.count("## What it is not good for") == 1
        assert text.endswith("More of it.\n")
    put_variants(tmp_path, [])
    assert card.read_text() == plain


def test_an_export_with_variants_and_putting_them_in_later_give_the_same_card(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    plain = manifest(tiny_bundle_path)
    figures = dict.fromkeys(
        (
            "pairs",
            "difference_cosine_median",
            "difference_cosine_p1",
            "recall_at_10",
            "recall_at_10_float32",
        ),
        0.5,
    )
    variant = EncoderVariant(
        file="encoder.int8.onnx", precision="int8", tolerance=0.01, cpu_speed=2, figures=figures
    )
    encoder = plain.encoder.model_copy(update={"variants": (variant,)})
    (tmp_path / "MODEL_CARD.md").write_text(render_card(plain))
    put_variants(tmp_path, [variant])
    exported = render_card(plain.model_copy(update={"encoder": encoder}))
    assert (tmp_path / "MODEL_CARD.md").read_text() == exported
