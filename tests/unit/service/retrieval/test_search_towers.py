"""Searches in the space of towers against brute force in float64."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
import tiny_towers

from service.bundle.files import load_bundle
from service.catalog.filters import parse_filter
from service.clips import NewClip
from service.concurrency.timings import RequestTimings
from service.errors import QueryIncompleteError
from service.observability.metrics import Metrics
from service.retrieval.inputs import AudioInput, ClipInput, EmbeddingInput, FileInput
from service.retrieval.options import RankingOptions
from service.retrieval.query import Modifier
from service.retrieval.searcher import SearchResult
from service.services import Services
from service.settings import Settings

N_CLIPS = 200
TEXTS = ("low", "a high without noise", "louder", "more clicks")
MEAN_REFERENCE_WEIGHT = 0.5


@pytest.fixture(scope="module")
def services(
    towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    """A service on towers whose library holds many made-up embeddings."""
    library = tmp_path_factory.mktemp("towers") / "library"
    services = Services.open(
        Settings(bundle=towers_bundle_path, library=library, threads=1), Metrics()
    )
    services.library.writer.put_many(
        [
            NewClip(id=f"c{n}", embedding=embedding, metadata={"n": n})
            for n, embedding in enumerate(embeddings())
        ]
    )
    yield services
    services.close()


def embeddings() -> np.ndarray:
    """Return embeddings that half precision holds exactly."""
    drawn = np.random.default_rng(0).gamma(1.0, 2.0, (N_CLIPS, 8))
    return drawn.astype(np.float16).astype(np.float32)


def unit64(vectors: np.ndarray) -> np.ndarray:
    """Bring to length 1 in float64."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def search(
    services: Services,
    positive: AudioInput | None,
    reference: AudioInput | None = None,
    modifier: Modifier | None = None,
    **ranking: Any,
) -> SearchResult:
    options = RankingOptions(**{"k": 20} | ranking)
    return services.searcher.search(
        positive, reference, options, RequestTimings(), modifier=modifier
    )


def assert_ranked(result: SearchResult, query: np.ndarray, bundle: Path, among: list[int]) -> None:
    """Hold hits to the naive ranking of clips by their inner products."""
    items = unit64(tiny_towers.project(bundle, embeddings()))
    scores = items @ unit64(query)
    ranked = sorted(among, key=lambda n: -scores[n])[: len(result.hits)]
    assert [hit.hit.record.id for hit in result.hits] == [f"c{n}" for n in ranked]
    for hit, n in zip(result.hits, ranked, strict=True):
        assert hit.hit.score == pytest.approx(scores[n], abs=1e-5)
        assert sum(hit.contributions.values()) == pytest.approx(hit.hit.score, abs=1e-4)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("strength", [0.3, 1.0, 4.0])
def test_a_sound_and_a_text_rank_as_their_sum_does(
    services: Services, towers_bundle_path: Path, text: str, strength: float
) -> None:
    result = search(services, ClipInput("c7"), modifier=Modifier(text, strength), k=50)

    audio = tiny_towers.project(towers_bundle_path, embeddings()[7:8])[0]
    query = audio + strength * tiny_towers.encode_text(towers_bundle_path, text)
    others = [n for n in range(N_CLIPS) if n != 7]
    assert_ranked(result, query, towers_bundle_path, others)
    assert len(result.hits) == 50


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_alone_ranks_by_its_vector(
    services: Services, towers_bundle_path: Path, text: str
) -> None:
    result = search(services, None, modifier=Modifier(text, 0.2))

    query = tiny_towers.encode_text(towers_bundle_path, text)
    assert_ranked(result, query, towers_bundle_path, list(range(N_CLIPS)))


@pytest.mark.parametrize("weight", [None, 0.0, 1.0])
def test_a_sound_less_another_and_a_text_rank_as_the_remainder_and_the_text_do(
    services: Services, towers_bundle_path: Path, weight: float | None
) -> None:
    mixture, reference = embeddings()[3], embeddings()[4]

    result = search(
        services,
        EmbeddingInput(mixture),
        EmbeddingInput(reference),
        Modifier("low"),
        reference_weight=weight,
        filter=parse_filter({"n": {"gte": 100}}),
    )

    taken = MEAN_REFERENCE_WEIGHT if weight is None else weight
    kept = mixture - taken * (reference - load_bundle(towers_bundle_path).mean)
    audio = tiny_towers.project(towers_bundle_path, kept[np.newaxis].astype(np.float32))[0]
    query = audio + tiny_towers.encode_text(towers_bundle_path, "low")
    assert_ranked(result, query, towers_bundle_path, list(range(100, N_CLIPS)))
    assert set(result.hits[0].contributions) == {"difference", "modifier"}


def test_a_sound_finds_itself_and_a_difference_ranks_as_its_search(services: Services) -> None:
    content = io.BytesIO(synth.encode(tiny_bundle.SOUNDS["low"] + tiny_bundle.SOUNDS["noise"]))
    found = services.searcher.difference(
        FileInput(content), [ClipInput("c9")], RankingOptions(k=9), RequestTimings()
    )
    searched = search(services, FileInput(content), ClipInput("c9"), k=9)
    (first,) = search(services, EmbeddingInput(embeddings()[5]), k=1).hits

    assert searched.hits == found.hits
    assert (first.hit.record.id, first.hit.score) == ("c5", pytest.approx(1, abs=1e-5))


def test_a_query_without_a_sound_or_text_is_refused_before_anything_is_decoded(
    services: Services,
) -> None:
    undecodable = FileInput(io.BytesIO(b"words"))

    with pytest.raises(QueryIncompleteError, match="subtracted from a sound"):
        search(services, None, undecodable, Modifier("low"))
    with pytest.raises(QueryIncompleteError, match="a search needs a sound"):
        search(services, None, modifier=Modifier("", 1))
