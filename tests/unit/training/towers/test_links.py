from __future__ import annotations

import tiny_pairs

from training.scenes.load import SceneSet
from training.towers.evaluation.fulfilment import fulfils
from training.towers.links import Link, clip_of, list_links

SCENES = tiny_pairs.make(4, 12, 5)


def crossed(scenes: SceneSet, most: int = 100) -> list[Link]:
    return list_links(scenes, most, 0)[len(scenes.pairs) :]


def test_the_pairs_that_were_rendered_come_first() -> None:
    links = list_links(SCENES, 3, 0)
    for i, pair in enumerate(SCENES.pairs):
        assert (links[i].query, links[i].target) == (2 * i, 2 * i + 1)
        assert links[i].changes == pair.changes
        assert clip_of(SCENES, links[i].query) == pair.query
        assert clip_of(SCENES, links[i].target) == pair.target
    assert list_links(SCENES, 0, 0) == links[: len(SCENES.pairs)]


def test_pairs_across_are_of_one_bed_and_of_two_that_were_rendered() -> None:
    links = crossed(SCENES)
    assert len(links) > len(SCENES.pairs)
    for link in links:
        ends = SCENES.pairs[link.query // 2], SCENES.pairs[link.target // 2]
        assert ends[0].bed == ends[1].bed == link.bed
        assert ends[0].index != ends[1].index
    assert len({(link.query, link.target) for link in links}) == len(links)


def test_the_change_across_is_what_was_rendered() -> None:
    kinds = set()
    for link in crossed(SCENES):
        for each in (link, link.reversed):
            (change,) = each.changes
            query, target = clip_of(SCENES, each.query), clip_of(SCENES, each.target)
            assert fulfils(change, query, target)
            assert set(query.labels) ^ set(target.labels) <= {change.label}
            kinds.add(change.kind)
        for label, source in link.sources.items():
            assert SCENES.event_rows[source.row].path == source.path
            heard = clip_of(SCENES, link.query).items + clip_of(SCENES, link.target).items
            assert (source.path, label) in {(item.path, item.label) for item in heard}
    assert {"add", "remove", "more", "less"} <= kinds


def test_no_more_are_made_than_the_recipe_allows() -> None:
    assert len(crossed(SCENES, 2)) == 2 * len(SCENES.pairs)
    assert crossed(SCENES, 2) == crossed(SCENES, 2)
    other = list_links(SCENES, 2, 1)[len(SCENES.pairs) :]
    assert other != crossed(SCENES, 2)
