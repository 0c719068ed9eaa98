from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
from service_client import Client, serving

LOW = synth.encode(synth.tone(300))
MIXTURE = synth.encode(synth.tone(300) + synth.tone(2700))


@pytest.fixture
def client(client: Client) -> Client:
    """The service with three clips."""
    sounds = {"low": synth.tone(300), "high": synth.tone(2700), "noise": synth.noise(0)}
    for name, samples in sounds.items():
        client.put(f"/clips/{name}", files={"audio": synth.encode(samples)})
    return client


def difference(client: Client, **options: Any) -> dict[str, Any]:
    answer = client.post("/difference", **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_was_added_is_found(client: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}

    found = difference(client, files=files, data={"k": "2", "reference_weight": "1"})

    assert found["hits"][0]["clip_id"] == "high"
    assert len(found["hits"]) == 2
    assert found["relative_norm"] > 0
    assert -1 <= found["cosine"] < 1


def test_the_embedding_is_the_plain_difference(client: Client) -> None:
    files = [("audio", ("m.wav", MIXTURE)), ("audio", ("r.wav", LOW))]
    mixture, reference = (
        np.array(clip["embedding"], np.float32)
        for clip in client.post("/embed", files=files).json()["embeddings"]
    )

    found = difference(client, files={"mixture": MIXTURE, "reference": LOW})

    assert np.array_equal(np.array(found["embedding"], np.float32), mixture - reference)


def test_stored_clips_may_be_named_and_are_not_hits(client: Client) -> None:
    found = difference(client, json={"mixture_id": "noise", "reference_id": "low"})

    assert [hit["clip_id"] for hit in found["hits"]] == ["high"]


def test_a_file_and_a_stored_clip_may_be_combined(client: Client) -> None:
    found = difference(client, files={"mixture": MIXTURE}, data={"reference_id": "low"})

    assert {hit["clip_id"] for hit in found["hits"]} == {"high", "noise"}


@pytest.mark.parametrize(
    "options",
    [
        {"files": {"mixture": LOW, "reference": LOW}},
        {"json": {"mixture_id": "low", "reference_id": "low"}},
    ],
)
def test_identical_sounds_give_zero_and_no_hits(client: Client, options: dict[str, Any]) -> None:
    found = difference(client, **options)

    assert found["embedding"] == [0.0] * 8
    assert (found["relative_norm"], found["cosine"], found["hits"]) == (0.0, 1.0, [])


def test_the_difference_may_be_had_as_npy_or_base64(client: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}
    numbers = difference(client, files=files)["embedding"]
    text = difference(client, files=files, data={"encoding": "base64"})["embedding"]
    npy = client.post("/difference", files=files, headers={"accept": "application/x-npy"})

    assert isinstance(text, str)
    assert np.load(io.BytesIO(npy.content)).tolist() == np.array(numbers, np.float32).tolist()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"json": {}}, "part_missing"),
        ({"json": {"mixture_id": "low"}}, "part_missing"),
        ({"files": {"reference": LOW}}, "part_missing"),
        ({"json": {"mixture_id": "low", "reference_id": "nobody"}}, "clip_unknown"),
        ({"files": {"mixture": LOW}, "data": {"mixture_id": "low"}}, "request_invalid"),
        ({"json": {"mixture_id": "low", "reference_id": "low", "k": 0}}, "k_out_of_range"),
    ],
)
def test_what_cannot_be_subtracted_is_refused(
    client: Client, options: dict[str, Any], code: str
) -> None:
    assert client.post("/difference", **options).json()["code"] == code


def test_a_bundle_without_towers_has_no_words(client: Client) -> None:
    assert difference(client, files={"mixture": MIXTURE, "reference": LOW})["phrases"] == []


@pytest.fixture(scope="module")
def towers(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One service on a bundle with towers for all of this module, with three clips."""
    library = tmp_path_factory.mktemp("difference") / "library"
    with serving(towers_bundle_path, library) as client:
        for name in ("low", "high", "noise"):
            content = synth.encode(tiny_bundle.SOUNDS[name])
            client.put(f"/clips/{name}", files={"audio": content})
        yield client


def test_what_was_added_is_told_in_words_and_found(towers: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}

    found = difference(towers, files=files, data={"reference_weight": "1"})

    assert found["phrases"][0].items() >= {"phrase": "a high sound", "label": "high"}.items()
    scores = [phrase["score"] for phrase in found["phrases"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5
    first = found["hits"][0]
    assert first["clip_id"] == "high"
    assert first["contributions"] == {"difference": first["score"]}


@pytest.mark.parametrize(("n_phrases", "n_told"), [(0, 0), (2, 2), (50, 5)])
def test_as_many_words_are_told_as_are_asked_for(
    towers: Client, n_phrases: int, n_told: int
) -> None:
    query = {"mixture_id": "noise", "reference_id": "low", "phrases": n_phrases}

    assert len(difference(towers, json=query)["phrases"]) == n_told


def test_nothing_has_no_words(towers: Client) -> None:
    found = difference(towers, json={"mixture_id": "low", "reference_id": "low"})

    assert (found["phrases"], found["hits"], found["relative_norm"]) == ([], [], 0.0)


@pytest.mark.parametrize("n_phrases", [-1, 51, 1.5, "x"])
def test_a_number_of_words_out_of_range_is_refused(towers: Client, n_phrases: object) -> None:
    query = {"mixture_id": "noise", "reference_id": "low", "phrases": n_phrases}

    assert towers.post("/difference", json=query).json()["code"] == "request_invalid"
