from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tiny_pairs

from training import words
from training.scenes.load import SceneSet
from training.towers.recipe import TextRecipe
from training.towers.texts import draw_texts
from training.towers.vocabulary import Vocabulary

RECIPE = TextRecipe(per_pair=3, per_clip=2, per_label=5)


class Recorder(tiny_pairs.WordVectors):
    """Remembers what it was asked to embed."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.told = list(texts)
        return super().embed(texts)


def test_every_pair_clip_and_label_has_its_texts(scenes: SceneSet, vocabulary: Vocabulary) -> None:
    cache = Recorder()
    texts = draw_texts(scenes.pairs, vocabulary, cache, RECIPE)
    n = len(scenes.pairs)
    assert texts.changes.shape == texts.back.shape == (n, 3)
    assert texts.queries.shape == texts.targets.shape == (n, 2)
    assert texts.labels.shape == (len(vocabulary.labels), 5)
    assert len(cache.told) == len(set(cache.told)) == len(texts.embeddings)
    for table in (texts.changes, texts.back, texts.queries, texts.targets, texts.labels):
        assert table.max() < len(texts.embeddings)


def test_a_text_names_what_it_is_about(scenes: SceneSet, vocabulary: Vocabulary) -> None:
    cache = Recorder()
    texts = draw_texts(scenes.pairs, vocabulary, cache, RECIPE)
    for pair, rows in zip(scenes.pairs, texts.changes, strict=True):
        for row in rows:
            for change in pair.changes:
                assert any(name in cache.told[row] for name in words.names(change.label))
    for label, rows in zip(vocabulary.labels, texts.labels, strict=True):
        assert any(name in cache.told[rows[0]] for name in words.names(label))


def test_the_seed_decides(scenes: SceneSet, vocabulary: Vocabulary) -> None:
    told = []
    for seed in (0, 0, 1):
        cache = Recorder()
        draw_texts(scenes.pairs, vocabulary, cache, RECIPE.model_copy(update={"seed": seed}))
        told.append(cache.told)
    assert told[0] == told[1] != told[2]


def test_a_part_of_a_set_reads_what_the_whole_set_reads(
    scenes: SceneSet, vocabulary: Vocabulary
) -> None:
    whole, part = Recorder(), Recorder()
    texts = draw_texts(scenes.pairs, vocabulary, whole, RECIPE)
    fewer = draw_texts(scenes.pairs[5:9], vocabulary, part, RECIPE)
    for pair, row in zip(range(5, 9), fewer.changes, strict=True):
        assert [part.told[i] for i in row] == [whole.told[i] for i in texts.changes[pair]]
