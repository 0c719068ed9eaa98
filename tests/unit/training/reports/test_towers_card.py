from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.bundle.manifest import DataSource, KnownAnswer, TowersInfo, TowersTraining
from training.data.manifest import SourceClip
from training.reports.towers_card import render_towers, write_towers_card


def info(corpus: str = "esc50") -> TowersInfo:
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
            data=[DataSource(corpus=corpus, clips=30, seconds=600.0, licences={"CC0": 30})],
        ),
        scores={"int8_cosine": 0.99951, "weights": "53aa"},
    )


def clip(permissive: str) -> SourceClip:
    return SourceClip(Path("data"), "a.wav", {"permissive": permissive})


def test_the_card_says_what_the_manifest_says() -> None:
    card = render_towers(info(), [clip("1")])
    for fact in (
        *("ab" * 32, "cd" * 32, "0123456789ab", "12,345 pairs", "int8", "0.99951", "`53aa`"),
        *("| esc50 | 30 | 10 | CC0 (30) |", json.dumps(info().training.recipe, indent=2)),
        *("CC BY-NC 3.0", "lets a model trained on it be shipped"),
    ):
        assert fact in card
    assert "CC BY-NC" not in render_towers(info("rain"), [clip("1")])


def test_clips_that_are_not_permissive_are_plainly_stated() -> None:
    card = render_towers(info(), [clip("1"), clip("0"), clip("0")])
    assert "**2 of these clips are not under a permissive licence" in card
    assert "lets a model trained on it be shipped" not in card


@pytest.mark.parametrize("before", ["# Card\n\ntext\n", ""])
def test_the_part_on_the_towers_comes_last_and_once(tmp_path: Path, before: str) -> None:
    (tmp_path / "MODEL_CARD.md").write_text(before)
    for _ in range(2):
        write_towers_card(tmp_path, info(), [clip("1")])
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert card.startswith(before.strip())
    assert card.count("## The towers") == 1
