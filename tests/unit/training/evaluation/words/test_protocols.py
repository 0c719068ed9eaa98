"""Every protocol, over a stand-in of the library whose hits are known."""

from __future__ import annotations

import pytest
from ranked_clips import Asked, RankedClips, clip

from training.evaluation.words import (
    composition,
    example,
    negation,
    subtraction,
    text_only,
    unknown,
)
from training.evaluation.words.items import Item
from training.evaluation.words.scenes import Partners, Scene
from training.evaluation.words.tables import Request, Texts, scene_table

DOGS = [clip(f"dog{i}", "dog") for i in range(6)]
CATS = [clip(f"cat{i}", "cat") for i in range(6)]


def holds(sound: str) -> RankedClips:
    """A library whose hits hold one sound, whatever is asked."""
    return RankedClips([*CATS, *DOGS], score=lambda _, item: float(sound in item.sounds))


def test_right_hits_of_a_text_are_counted() -> None:
    requests = [Request("a hound", ("dog",)), Request("a kitten", ("cat",))]

    result = text_only.measure(holds("dog").open(), requests)

    assert [row["right_of_5"] for row in result["requests"]] == [5, 0]
    assert result["first"]["value"] == result["precision_at_5"]["value"] == 0.5
    assert result["random"] == 0.5


def test_a_request_with_too_few_right_clips_or_recordings_does_not_count() -> None:
    few = [clip(f"cow{i}", "cow") for i in range(4)]
    same = [clip(f"pig{i}", "pig", recording="one") for i in range(9)]
    library = RankedClips([*DOGS, *few, *same]).open()

    result = text_only.measure(library, [Request(name, (name,)) for name in ("dog", "cow", "pig")])

    assert [row["text"] for row in result["requests"]] == ["dog"]
    assert result["left_out"] == 2


def test_flags_of_known_texts_and_of_nonsense_are_counted_apart() -> None:
    flag = frozenset({unknown.NOTICE})
    library = RankedClips(
        DOGS, notices=lambda text: flag if text in ("xyz", "cow") else frozenset({"modifier_cut"})
    )
    texts = Texts(
        known=(Request("dog", ("dog",)), Request("cow", ())),
        nonsense={"letters": ("xyz", "abc"), "other": ("xyz",)},
    )

    result = unknown.measure(library.open(), [Request("hound", ("dog",))], texts)

    assert result["known"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert result["requests"]["value"] == 0
    assert result["names"]["value"] == 0.5
    assert result["nonsense"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert result["groups"]["letters"]["value"] == 0.5
    assert result["flagged_known"] == ["cow"]


class Mixtures:
    """Dogs and cats over two recordings of rain and of wind, as `scenes` draws them."""

    def __init__(self) -> None:
        self.partners: list[Partners] = []
        self.items: dict[Scene, Item] = {}
        for kind in ("rain", "wind"):
            for label in ("dog", "cat"):
                pairs = [self._add(kind, label, place) for place in (0, 1)]
                mixtures, backgrounds = zip(*pairs, strict=True)
                self.partners.append(Partners(label, mixtures, backgrounds))
        self.events = [clip(f"{label}{i}", label) for label in ("dog", "cat") for i in range(6)]

    def _add(self, kind: str, label: str, place: int) -> tuple[Scene, Scene]:
        bed, number = f"{kind}-bed{place}", len(self.items)
        mixture = Scene(f"{kind}-{label}-{place}", kind, place, number)
        alone = Scene(bed, kind, place)
        recordings = frozenset({bed, f"event{number}"})
        self.items[mixture] = Item(mixture.id, frozenset({kind, label}), recordings, (kind, label))
        self.items[alone] = Item(bed, frozenset({kind}), frozenset({bed}), (kind, ""))
        return mixture, alone

    @property
    def all(self) -> list[Item]:
        return [*{item.id: item for item in (*self.items.values(), *self.events)}.values()]

    def sounds(self, clip_id: str | None) -> frozenset[str]:
        return next((item.sounds for item in self.all if item.id == clip_id), frozenset())


@pytest.fixture
def mixtures() -> Mixtures:
    return Mixtures()


def test_a_text_without_effect_has_a_ratio_of_1(mixtures: Mixtures) -> None:
    library = RankedClips(
        mixtures.all,
        score=lambda asked, item: float(len(mixtures.sounds(asked.sound) & item.sounds)),
    )

    result = negation.measure(library.open(), mixtures.partners, mixtures.items, scene_table())

    for part in ("background", "event"):
        assert list(result[part]) == ["all", *negation.WORDINGS]
        for figures in result[part].values():
            assert figures["ratio"]["value"] == 1
            assert figures["wanted"]["before"] == figures["wanted"]["after"]


def test_a_text_that_takes_a_sound_away_has_a_ratio_of_0(mixtures: Mixtures) -> None:
    def score(asked: Asked, item: Item) -> float:
        words = set((asked.text or "").split())
        return len(mixtures.sounds(asked.sound) & item.sounds - words) - 9 * len(
            item.sounds & words
        )

    library = RankedClips(mixtures.all, score=score)
    result = negation.measure(library.open(), mixtures.partners, mixtures.items, scene_table())

    assert result["event"]["all"]["ratio"]["value"] == 0
    assert result["event"]["all"]["unwanted"]["before"]["value"] > 1
    assert result["background"]["without"]["wanted"]["after"]["value"] == 5
    assert {"without the rain", "no rain", "less dog", "minus the cat", "quieter wind"} <= {
        asked.text for asked in library.asked
    }


def test_the_recordings_of_a_mixture_are_no_hits(mixtures: Mixtures) -> None:
    library = RankedClips(mixtures.all, score=lambda asked, item: float(item.id != asked.sound))
    search = library.open()
    for scene, item in mixtures.items.items():
        hits = search.first(item, left_out=search.collection.others(item))
        assert len(hits) == 5
        assert all(hit.recordings.isdisjoint(item.recordings) for hit in hits), scene


def test_the_target_of_a_composition_is_over_another_recording(mixtures: Mixtures) -> None:
    def both(asked: Asked, item: Item) -> float:
        (label,) = {"dog", "cat"} & set((asked.text or "").split())
        return float({label, *mixtures.sounds(asked.sound)} <= item.sounds)

    library = RankedClips(mixtures.all, score=both)
    result = composition.measure(library.open(), mixtures.partners, mixtures.items, scene_table())

    assert result["another"]["first"]["value"] == result["another"]["both"]["value"] == 1
    assert result["same"]["first_5"]["value"] == 1
    assert result["another"]["first"]["queries"] == 8
    assert {asked.text for asked in library.asked} == {"with a dog", "with a cat"}


def test_a_composition_that_ignores_the_text_misses_its_target(mixtures: Mixtures) -> None:
    library = RankedClips(mixtures.all, score=lambda _, item: float(item in mixtures.events))
    result = composition.measure(library.open(), mixtures.partners, mixtures.items, scene_table())
    for figures in result.values():
        assert figures["first_5"]["value"] == figures["both"]["value"] == 0


def test_subtraction_counts_hits_and_phrases_of_the_event(mixtures: Mixtures) -> None:
    def score(asked: Asked, item: Item) -> float:
        rest = mixtures.sounds(asked.sound) - mixtures.sounds(asked.reference)
        return float(not rest.isdisjoint(item.sounds)) if asked.reference else 0.0

    def phrase(mixture: str, reference: str) -> tuple[str, str] | None:
        own = mixture[-1] == reference[-1]
        return ("a puppy", "puppies") if own and "dog" in mixture else None

    library = RankedClips([*mixtures.all[::-1]], score=score, phrase=phrase)
    result = subtraction.measure(library.open(), mixtures.partners, mixtures.items)

    assert result["hits"]["another"]["first"]["value"] == 1
    assert result["hits"]["same"]["precision_at_5"]["value"] == 1
    assert result["hits"]["nothing"]["first"]["value"] < 1
    assert result["phrases"]["same"]["named"]["value"] == 0.5
    assert result["phrases"]["same"]["own_label"]["value"] == 0
    assert result["phrases"]["another"]["named"]["value"] == 0


def test_an_example_finds_other_recordings_of_its_class_or_sound() -> None:
    dogs = [clip(f"d{i}", "dog", recording=f"r{i // 2}", kind=("esc50", "dog")) for i in range(12)]
    barks = [clip(f"b{i}", "dog", kind=("game_sfx2", "dog bark")) for i in range(6)]
    noise = [clip(f"n{i}", kind=("noise_of_life", "Yawn")) for i in range(3)]
    library = RankedClips(
        [*barks, *noise, *dogs], score=lambda asked, item: float("dog" in item.sounds)
    )

    result = example.measure(library.open())

    assert set(result) == {"all", "esc50", "esc50_alone"}
    assert result["all"]["first"] == {"value": 1.0, "interval_95": [1.0, 1.0], "queries": 8}
    assert result["all"]["random"] == pytest.approx(16 / 19, abs=1e-4)
    assert result["esc50_alone"]["random"] == 1
