from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synth

from service.core import Core
from service.errors import KOutOfRangeError
from service.filters import parse_filter
from service.metrics import Metrics
from service.search import RankedHit, Ranking
from service.settings import Settings
from service.sounds import File, Sound, Stored, Vector
from service.timing import Phases

SOUNDS = {
    "low": synth.tone(300),
    "middle": synth.tone(900),
    "high": synth.tone(2700),
    "noise": synth.noise(0),
}


@pytest.fixture
def core(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Core]:
    """A service whose library holds the four sounds."""
    settings = Settings(bundle=tiny_bundle_path, library=tmp_path, threads=1, max_k=4)
    core = Core.open(settings, Metrics())
    for name, samples in SOUNDS.items():
        core.intake.store(
            io.BytesIO(synth.encode(samples)),
            clip_id=name,
            metadata={"tonal": name != "noise"},
            phases=Phases(),
        )
    yield core
    core.close()


def audio(samples: np.ndarray) -> Sound:
    return File(io.BytesIO(synth.encode(samples)))


def ids(hits: list[RankedHit]) -> list[str]:
    return [ranked.hit.record.id for ranked in hits]


def test_each_clip_finds_itself_first(core: Core) -> None:
    for name, samples in SOUNDS.items():
        hits = core.searcher.search(audio(samples), None, Ranking(k=4), Phases()).hits

        assert ids(hits)[0] == name
        assert hits[0].hit.score == pytest.approx(1.0, abs=1e-3)  # stored in half precision
        assert hits[0].contributions == {"audio": hits[0].hit.score}


def test_a_clip_named_by_the_query_is_not_among_its_hits(core: Core) -> None:
    hits = core.searcher.search(Stored("low"), Stored("noise"), Ranking(k=4), Phases()).hits

    assert set(ids(hits)) == {"middle", "high"}


def test_a_vector_finds_what_its_clip_finds(core: Core) -> None:
    vector = Vector(core.library.embedding("low"))

    hits = core.searcher.search(vector, None, Ranking(k=2), Phases()).hits

    assert ids(hits)[0] == "low"


def test_a_filter_and_k_bound_the_hits(core: Core) -> None:
    tonal = Ranking(k=4, filter=parse_filter({"tonal": True}))

    hits = core.searcher.search(audio(SOUNDS["noise"]), None, tonal, Phases()).hits

    assert set(ids(hits)) == {"low", "middle", "high"}
    assert len(core.searcher.search(Stored("low"), None, Ranking(k=1), Phases()).hits) == 1


def test_a_mixture_less_its_reference_finds_what_was_added(core: Core) -> None:
    mixture = SOUNDS["high"] + SOUNDS["low"]

    found = core.searcher.difference(
        audio(mixture), [Stored("low")], Ranking(k=4, reference_weight=1.0), Phases()
    )

    assert ids(found.hits)[0] == "high"
    assert found.hits[0].contributions == {"difference": found.hits[0].hit.score}


def test_a_search_less_a_reference_ranks_as_the_difference_does(core: Core) -> None:
    mixture, reference = audio(SOUNDS["low"] + SOUNDS["noise"]), Stored("noise")

    found = core.searcher.difference(mixture, [reference], Ranking(k=3), Phases())

    assert core.searcher.search(mixture, reference, Ranking(k=3), Phases()).hits == found.hits


def test_the_weight_of_the_reference_may_be_set(core: Core) -> None:
    mixture, reference = audio(SOUNDS["low"] + SOUNDS["noise"]), Stored("noise")
    own = core.encoder.reference_weight

    def scores(weight: float | None) -> list[float]:
        ranking = Ranking(k=3, reference_weight=weight)
        found = core.searcher.difference(mixture, [reference], ranking, Phases())
        return [ranked.hit.score for ranked in found.hits]

    assert scores(None) == scores(own)
    assert scores(0.0) != scores(own)


def test_identical_sounds_differ_by_exactly_nothing(core: Core) -> None:
    for weight in (None, 0.0, 0.3, 1.0):
        sound = synth.chirp(200, 2000)
        found = core.searcher.difference(
            audio(sound), [audio(sound)], Ranking(k=4, reference_weight=weight), Phases()
        )

        told = found.comparison
        assert not told.embedding.any()
        assert (told.relative_norm, told.cosine, found.hits) == (0.0, 1.0, [])
        assert (told.spread, told.level_difference_db, told.curve) == (None, 0.0, None)
        assert core.searcher.search(Stored("low"), Stored("low"), Ranking(k=4), Phases()).hits == []


def test_swapping_the_inputs_flips_the_sign(core: Core) -> None:
    one, other = audio(SOUNDS["low"]), audio(SOUNDS["noise"])

    there = core.searcher.difference(one, [other], Ranking(k=1), Phases()).comparison
    back = core.searcher.difference(other, [one], Ranking(k=1), Phases()).comparison

    assert np.array_equal(there.embedding, -back.embedding)
    assert there.relative_norm == back.relative_norm
    assert there.cosine == pytest.approx(back.cosine)
    assert there.level_difference_db == pytest.approx(-(back.level_difference_db or 0))


def test_silence_is_a_sound_like_others(core: Core) -> None:
    hits = core.searcher.search(audio(synth.silence()), None, Ranking(k=4), Phases()).hits

    assert len(hits) == 4
    assert np.isfinite([ranked.hit.score for ranked in hits]).all()


@pytest.mark.parametrize("k", [0, 5])
def test_k_is_held_to_its_range_before_anything_is_decoded(core: Core, k: int) -> None:
    undecodable = File(io.BytesIO(b"words"))

    with pytest.raises(KOutOfRangeError, match="1 to 4"):
        core.searcher.search(undecodable, None, Ranking(k=k), Phases())
    with pytest.raises(KOutOfRangeError, match="1 to 4"):
        core.searcher.difference(undecodable, [undecodable], Ranking(k=k), Phases())
