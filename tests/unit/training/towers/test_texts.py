from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tiny_pairs

from training.scenes.load import SceneSet
from training.scenes.pair import Clip
from training.towers.recipe import TextRecipe
from training.towers.texts import TrainingTexts, draw_texts
from training.towers.training_pairs import TrainingPair, clip_at, list_training_pairs
from training.towers.vocabulary import Vocabulary
from training.words.names import list_names

RECIPE = TextRecipe(per_change=5, per_two_changes=2, per_clip=2, per_label=4)


class Recorder(tiny_pairs.WordVectors):
    """Records the texts that it embeds."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.texts = list(texts)
        return super().embed(texts)


@pytest.fixture(scope="module")
def pairs(scenes: SceneSet) -> list[TrainingPair]:
    return list_training_pairs(scenes, 0, 0)


@pytest.fixture(scope="module")
def clips(scenes: SceneSet) -> list[Clip]:
    return [clip_at(scenes, row) for row in range(2 * len(scenes.pairs))]


def draw(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary, seed: int = 0
) -> tuple[TrainingTexts, list[str]]:
    cache = Recorder()
    recipe = RECIPE.model_copy(update={"seed": seed})
    return draw_texts(pairs, clips, vocabulary, cache, recipe), cache.texts


def test_every_pair_clip_and_label_has_texts(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    tables, texts = draw(pairs, clips, vocabulary)
    assert tables.changes.shape == tables.reversed_changes.shape == (len(pairs), 5)
    assert tables.clips.shape == (len(clips), 2)
    assert tables.labels.shape == (len(vocabulary.labels), 4)
    assert len(texts) == len(set(texts)) == len(tables.embeddings)
    for table in (tables.changes, tables.reversed_changes, tables.clips, tables.labels):
        assert table.max() < len(tables.embeddings)


def test_two_changes_have_fewer_requests(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    tables, _ = draw(pairs, clips, vocabulary)
    n_texts = [len(set(row.tolist())) for row in tables.changes]
    assert max(n for n, pair in zip(n_texts, pairs, strict=True) if len(pair.changes) == 2) <= 2
    assert max(n for n, pair in zip(n_texts, pairs, strict=True) if len(pair.changes) == 1) > 2


def test_a_text_names_its_changes_or_labels(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    tables, texts = draw(pairs, clips, vocabulary)
    for pair, rows in zip(pairs, tables.changes, strict=True):
        for row in rows:
            for change in pair.changes:
                assert any(name in texts[row] for name in list_names(change.label))
    for clip, rows in zip(clips, tables.clips, strict=True):
        for label in clip.labels:
            assert any(name in texts[rows[0]] for name in list_names(label))


def test_texts_depend_on_the_changes_and_labels_only(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    all_tables, all_texts = draw(pairs, clips, vocabulary)
    tables, texts = draw(pairs[5:9], clips[3:5], vocabulary)
    for pair, row in zip(range(5, 9), tables.changes, strict=True):
        assert [texts[i] for i in row] == [all_texts[i] for i in all_tables.changes[pair]]
    assert set(texts) <= set(all_texts)


def test_another_seed_gives_other_texts(
    pairs: list[TrainingPair], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    first, again, other = (draw(pairs, clips, vocabulary, seed)[1] for seed in (0, 0, 1))
    assert first == again != other
