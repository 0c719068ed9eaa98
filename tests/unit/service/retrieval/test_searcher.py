from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synth

from service.catalog.filters import parse_filter
from service.concurrency.timings import RequestTimings
from service.errors import KOutOfRangeError
from service.observability.metrics import Metrics
from service.retrieval.inputs import AudioInput, ClipInput, FileInput
from service.retrieval.options import RankingOptions
from service.retrieval.searcher import RankedHit
from service.services import Services
from service.settings import Settings

SOUNDS = {
    "low": synth.tone(300),
    "middle": synth.tone(900),
    "high": synth.tone(2700),
    "noise": synth.noise(0),
}


@pytest.fixture
def services(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Services]:
    """A service whose library holds the four sounds."""
    settings = Settings(bundle=tiny_bundle_path, library=tmp_path, threads=1, max_k=4)
    services = Services.open(settings, Metrics())
    for name, samples in SOUNDS.items():
        services.uploader.store(
            io.BytesIO(synth.encode(samples)),
            clip_id=name,
            metadata={"tonal": name != "noise"},
            timings=RequestTimings(),
        )
    yield services
    services.close()


def audio(samples: np.ndarray) -> AudioInput:
    return FileInput(io.BytesIO(synth.encode(samples)))


def ids(hits: list[RankedHit]) -> list[str]:
    return [ranked.hit.record.id for ranked in hits]


def test_a_clip_named_by_the_query_is_not_among_its_hits(services: Services) -> None:
    hits = services.searcher.search(
        ClipInput("low"), ClipInput("noise"), RankingOptions(k=4), RequestTimings()
    ).hits

    assert set(ids(hits)) == {"middle", "high"}


def test_a_filter_and_k_bound_the_hits(services: Services) -> None:
    tonal = RankingOptions(k=4, filter=parse_filter({"tonal": True}))

    hits = services.searcher.search(audio(SOUNDS["noise"]), None, tonal, RequestTimings()).hits

    assert set(ids(hits)) == {"low", "middle", "high"}
    assert (
        len(
            services.searcher.search(
                ClipInput("low"), None, RankingOptions(k=1), RequestTimings()
            ).hits
        )
        == 1
    )


def test_a_mixture_less_its_reference_finds_what_was_added(services: Services) -> None:
    mixture = SOUNDS["high"] + SOUNDS["low"]

    found = services.searcher.difference(
        audio(mixture),
        [ClipInput("low")],
        RankingOptions(k=4, reference_weight=1.0),
        RequestTimings(),
    )

    assert ids(found.hits)[0] == "high"
    assert found.hits[0].contributions == {"difference": found.hits[0].hit.score}


def test_the_weight_of_the_reference_can_be_set(services: Services) -> None:
    mixture, reference = audio(SOUNDS["low"] + SOUNDS["noise"]), ClipInput("noise")
    own = services.models.encoder.reference_weight

    def scores(weight: float | None) -> list[float]:
        ranking = RankingOptions(k=3, reference_weight=weight)
        found = services.searcher.difference(mixture, [reference], ranking, RequestTimings())
        return [ranked.hit.score for ranked in found.hits]

    assert scores(None) == scores(own)
    assert scores(0.0) != scores(own)


def test_identical_sounds_have_exactly_no_difference(services: Services) -> None:
    for weight in (None, 0.0, 0.3, 1.0):
        sound = synth.chirp(200, 2000)
        found = services.searcher.difference(
            audio(sound),
            [audio(sound)],
            RankingOptions(k=4, reference_weight=weight),
            RequestTimings(),
        )

        comparison = found.comparison
        assert not comparison.embedding.any()
        assert (comparison.relative_norm, comparison.cosine, found.hits) == (0.0, 1.0, [])
        assert (comparison.spread, comparison.level_difference_db, comparison.curve) == (
            None,
            0.0,
            None,
        )
        assert (
            services.searcher.search(
                ClipInput("low"), ClipInput("low"), RankingOptions(k=4), RequestTimings()
            ).hits
            == []
        )


def test_silence_can_be_searched_for(services: Services) -> None:
    hits = services.searcher.search(
        audio(synth.silence()), None, RankingOptions(k=4), RequestTimings()
    ).hits

    assert len(hits) == 4
    assert np.isfinite([ranked.hit.score for ranked in hits]).all()


@pytest.mark.parametrize("k", [0, 5])
def test_k_out_of_range_is_refused_before_anything_is_decoded(services: Services, k: int) -> None:
    undecodable = FileInput(io.BytesIO(b"words"))

    with pytest.raises(KOutOfRangeError, match="1 to 4"):
        services.searcher.search(undecodable, None, RankingOptions(k=k), RequestTimings())
    with pytest.raises(KOutOfRangeError, match="1 to 4"):
        services.searcher.difference(
            undecodable, [undecodable], RankingOptions(k=k), RequestTimings()
        )
