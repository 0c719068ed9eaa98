from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tiny_pairs

from training import words
from training.scenes.load import SceneSet
from training.scenes.pair import Clip
from training.towers.links import Link, clip_of, list_links
from training.towers.recipe import TextRecipe
from training.towers.texts import Texts, draw_texts
from training.towers.vocabulary import Vocabulary

RECIPE = TextRecipe(per_change=5, per_two_changes=2, per_clip=2, per_label=4)


class Recorder(tiny_pairs.WordVectors):
    """Remembers what it was asked to embed."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.told = list(texts)
        return super().embed(texts)


@pytest.fixture(scope="module")
def links(scenes: SceneSet) -> list[Link]:
    return list_links(scenes, 0, 0)


@pytest.fixture(scope="module")
def clips(scenes: SceneSet) -> list[Clip]:
    return [clip_of(scenes, row) for row in range(2 * len(scenes.pairs))]


def draw(
    links: list[Link], clips: list[Clip], vocabulary: Vocabulary, seed: int = 0
) -> tuple[Texts, list[str]]:
    cache = Recorder()
    recipe = RECIPE.model_copy(update={"seed": seed})
    return draw_texts(links, clips, vocabulary, cache, recipe), cache.told


def test_every_link_clip_and_label_has_its_texts(
    links: list[Link], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    texts, told = draw(links, clips, vocabulary)
    assert texts.changes.shape == texts.back.shape == (len(links), 5)
    assert texts.clips.shape == (len(clips), 2)
    assert texts.labels.shape == (len(vocabulary.labels), 4)
    assert len(told) == len(set(told)) == len(texts.embeddings)
    for table in (texts.changes, texts.back, texts.clips, texts.labels):
        assert table.max() < len(texts.embeddings)


def test_two_changes_are_asked_for_in_fewer_ways(
    links: list[Link], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    texts, _ = draw(links, clips, vocabulary)
    ways = [len(set(row.tolist())) for row in texts.changes]
    assert max(n for n, link in zip(ways, links, strict=True) if len(link.changes) == 2) <= 2
    assert max(n for n, link in zip(ways, links, strict=True) if len(link.changes) == 1) > 2


def test_a_text_names_what_it_is_about(
    links: list[Link], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    texts, told = draw(links, clips, vocabulary)
    for link, rows in zip(links, texts.changes, strict=True):
        for row in rows:
            for change in link.changes:
                assert any(name in told[row] for name in words.names(change.label))
    for clip, rows in zip(clips, texts.clips, strict=True):
        for label in clip.labels:
            assert any(name in told[rows[0]] for name in words.names(label))


def test_what_is_told_depends_on_what_it_is_about_alone(
    links: list[Link], clips: list[Clip], vocabulary: Vocabulary
) -> None:
    whole, told = draw(links, clips, vocabulary)
    part, fewer = draw(links[5:9], clips[3:5], vocabulary)
    for link, row in zip(range(5, 9), part.changes, strict=True):
        assert [fewer[i] for i in row] == [told[i] for i in whole.changes[link]]
    assert set(fewer) <= set(told)


def test_the_seed_decides(links: list[Link], clips: list[Clip], vocabulary: Vocabulary) -> None:
    first, again, other = (draw(links, clips, vocabulary, seed)[1] for seed in (0, 0, 1))
    assert first == again != other
