from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.catalog.filters import parse_filter
from service.concurrency.timings import RequestTimings
from service.errors import KOutOfRangeError
from service.observability.metrics import Metrics
from service.retrieval.inputs import AudioInput, ClipInput, FileInput
from service.retrieval.options import RankingOptions
from service.retrieval.searcher import Difference, RankedHit
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


def difference(
    services: Services, mixture: AudioInput, reference: AudioInput, **ranking: Any
) -> Difference:
    options = RankingOptions(**{"k": 4} | ranking)
    return services.searcher.difference(mixture, [reference], options, RequestTimings())


def search(
    services: Services, positive: AudioInput, reference: AudioInput | None = None, **ranking: Any
) -> list[RankedHit]:
    options = RankingOptions(**{"k": 4} | ranking)
    return services.searcher.search(positive, reference, options, RequestTimings()).hits


def ids(hits: list[RankedHit]) -> list[str]:
    return [ranked.hit.record.id for ranked in hits]


def test_a_clip_named_by_the_query_is_not_among_its_hits(services: Services) -> None:
    hits = search(services, ClipInput("low"), ClipInput("noise"))

    assert set(ids(hits)) == {"middle", "high"}


def test_a_filter_and_k_bound_the_hits(services: Services) -> None:
    tonal = parse_filter({"tonal": True})

    hits = search(services, audio(SOUNDS["noise"]), filter=tonal)

    assert set(ids(hits)) == {"low", "middle", "high"}
    assert len(search(services, ClipInput("low"), k=1)) == 1


def test_the_weight_of_the_reference_can_be_set(services: Services) -> None:
    mixture, reference = audio(SOUNDS["low"] + SOUNDS["noise"]), ClipInput("noise")
    own = services.models.encoder.reference_weight

    def scores(weight: float | None) -> list[float]:
        found = difference(services, mixture, reference, k=3, reference_weight=weight)
        return [ranked.hit.score for ranked in found.hits]

    assert scores(None) == scores(own)
    assert scores(0.0) != scores(own)


@pytest.mark.parametrize("weight", [None, 0.0, 0.3, 1.0])
def test_identical_sounds_have_exactly_no_difference(
    services: Services, weight: float | None
) -> None:
    sound = audio(synth.chirp(200, 2000))

    found = difference(services, sound, sound, reference_weight=weight)

    comparison = found.comparison
    assert not comparison.embedding.any()
    assert (comparison.relative_norm, comparison.cosine, found.hits) == (0.0, 1.0, [])
    assert comparison.level_difference_db == 0.0
    assert comparison.spread is comparison.curve is None
    assert search(services, ClipInput("low"), ClipInput("low")) == []


def test_silence_can_be_searched_for(services: Services) -> None:
    hits = search(services, audio(synth.silence()))

    assert len(hits) == 4
    assert np.isfinite([ranked.hit.score for ranked in hits]).all()


@pytest.mark.parametrize("k", [0, 5])
@pytest.mark.parametrize("call", [search, difference])
def test_k_out_of_range_is_refused_before_anything_is_decoded(
    services: Services, call: Callable[..., object], k: int
) -> None:
    undecodable = FileInput(io.BytesIO(b"words"))

    with pytest.raises(KOutOfRangeError, match="1 to 4"):
        call(services, undecodable, undecodable, k=k)
