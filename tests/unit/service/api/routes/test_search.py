from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import synth
from service_client import Client, serving

SOUNDS = {
    "low": synth.encode(synth.tone(300)),
    "high": synth.encode(synth.tone(2700)),
    "noise": synth.encode(synth.noise(0)),
}


@pytest.fixture
def client(client: Client) -> Client:
    """The service with three clips."""
    for name, content in SOUNDS.items():
        client.put(f"/clips/{name}", files={"audio": content}, data={"metadata": '{"n": 1}'})
    return client


def hits(client: Client, **options: Any) -> Any:
    return client.result("/search", **options)["hits"]


def test_each_clip_finds_itself(client: Client) -> None:
    for name, content in SOUNDS.items():
        first = hits(client, files={"audio": content})[0]

        assert first["clip_id"] == name
        assert first["audio"] == f"/clips/{name}/audio"
        assert first["metadata"] == {"n": 1}


def test_an_embedding_of_the_service_is_a_query(client: Client) -> None:
    embedding = client.post("/embed?encoding=base64", content=SOUNDS["low"]).json()["embeddings"]

    by_vector = hits(client, json={"embedding": embedding[0]["embedding"], "k": 2})

    assert by_vector == hits(client, files={"audio": SOUNDS["low"]}, data={"k": "2"})


def test_null_in_json_is_a_field_that_is_absent(client: Client) -> None:
    query = {"clip_id": "low", "k": 2}

    assert client.result("/search", json=query) == client.result(
        "/search", json=query | {"embedding": None, "filter": None}
    )


def test_a_clip_finds_the_others(client: Client) -> None:
    assert {hit["clip_id"] for hit in hits(client, json={"clip_id": "low"})} == {"high", "noise"}


def test_a_reference_is_subtracted(client: Client) -> None:
    mixture = synth.encode(synth.tone(300) + synth.tone(2700))

    files = {"audio": mixture, "reference": SOUNDS["low"]}
    by_file = hits(client, files=files, data={"reference_weight": "1"})
    by_id = hits(client, files={"audio": mixture}, data={"reference_id": "low"})

    assert by_file[0]["clip_id"] == "high"
    assert by_file[0]["contributions"] == {"difference": by_file[0]["score"]}
    assert "low" not in {hit["clip_id"] for hit in by_id}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"reference_id": "low"}, "query_incomplete"),
        ({"clip_id": "low", "embedding": [0.0] * 8}, "request_invalid"),
        ({"clip_id": "low", "reference_weight": 0.5}, "request_invalid"),
        ({"modifier": ""}, "modifier_unavailable"),
        ({"clip_id": "low", "modifier": "louder"}, "modifier_unavailable"),
        ({"clip_id": "low", "modifier_strength": 0}, "modifier_unavailable"),
        ({"clip_id": "low", "reference_id": "nobody"}, "clip_unknown"),
    ],
)
def test_invalid_queries_are_refused(client: Client, query: dict[str, Any], code: str) -> None:
    assert client.post("/search", json=query).json()["code"] == code


def test_two_references_are_refused(client: Client) -> None:
    files = {"audio": SOUNDS["low"], "reference": SOUNDS["noise"]}

    response = client.post("/search", files=files, data={"reference_id": "noise"})

    assert response.json()["code"] == "request_invalid"


def test_a_low_max_k_lowers_the_default_of_k(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, tmp_path / "library", max_k=2) as client:
        client.put_clips(SOUNDS)

        assert len(hits(client, files={"audio": SOUNDS["low"]})) == 2
        files = {"mixture": SOUNDS["low"], "reference": SOUNDS["noise"]}
        assert len(client.post("/difference", files=files).json()["hits"]) == 2
        assert client.post("/search", json={"clip_id": "low", "k": 3}).status_code == 422


def test_server_timing_lists_the_phases(client: Client) -> None:
    response = client.post("/search", files={"audio": synth.encode(synth.tone(550))})

    timing = response.headers["server-timing"]
    assert [part.partition(";")[0] for part in timing.split(", ")] == [
        "decode",
        "queue",
        "encode",
        "compose",
        "search",
        "total",
    ]
