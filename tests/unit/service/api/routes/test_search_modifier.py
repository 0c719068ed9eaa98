"""POST /search with texts, on a bundle with towers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import synth
import tiny_bundle
import tiny_understanding
from service_client import Client, serving

from service.retrieval.options import MAX_TEXT_CHARACTERS

LOW = synth.encode(synth.tone(300))


@pytest.fixture
def client(words_client: Client) -> Client:
    return words_client


def search(client: Client, **options: Any) -> Any:
    return client.result("/search", **options)


def test_a_text_alone_finds_the_clip_it_describes(client: Client) -> None:
    for word in tiny_bundle.SOUNDS:
        found = search(client, json={"modifier": word})

        first = found["hits"][0]
        assert first["clip_id"] == word
        assert first["contributions"] == {"modifier": first["score"]}
        assert found["notices"] == []


def test_a_modifier_moves_the_query_towards_its_text(client: Client) -> None:
    ranks = []
    for strength in (0, 1, 4):
        query = {"modifier": "with high", "modifier_strength": strength}
        hits = search(client, files={"audio": LOW}, data=query)["hits"]
        ranks.append([hit["clip_id"] for hit in hits].index("high"))

    assert ranks[0] >= ranks[1] > ranks[2] == 0


@pytest.mark.parametrize(
    "query",
    [
        {"clip_id": "low"},
        {"clip_id": "low", "reference_id": "noise"},
        {"clip_id": "low", "reference_id": "low"},
    ],
)
def test_a_text_of_strength_zero_has_no_effect(client: Client, query: dict[str, Any]) -> None:
    with_text = query | {"modifier": "high " * 50, "modifier_strength": 0}

    assert search(client, json=with_text) == search(client, json=query)


def test_a_text_without_words_is_left_out_with_a_notice(client: Client) -> None:
    query = {"clip_id": "low"}

    found = search(client, json=query | {"modifier": "\u202e \x00"})

    assert [notice["code"] for notice in found["notices"]] == ["modifier_empty"]
    assert found["hits"] == search(client, json=query)["hits"]


def test_a_text_beyond_the_window_is_cut_with_a_notice(client: Client) -> None:
    short = search(client, json={"modifier": "low " * 6})
    long = search(client, json={"modifier": "low " * 6 + "high"})

    assert [notice["code"] for notice in long["notices"]] == ["modifier_cut"]
    assert "8 tokens" in long["notices"][0]["detail"]
    assert long["hits"] == short["hits"]


def test_of_equal_sounds_and_a_text_the_text_alone_is_searched_for(client: Client) -> None:
    nothing = {"clip_id": "low", "reference_id": "low"}

    found = search(client, json=nothing | {"modifier": "high"})
    alone = search(client, json={"modifier": "high"})

    assert search(client, json=nothing)["hits"] == []
    expected = {hit["clip_id"]: hit["score"] for hit in alone["hits"]}
    del expected["low"]  # named by the query
    assert {hit["clip_id"]: hit["score"] for hit in found["hits"]} == expected
    for hit in found["hits"]:
        assert hit["contributions"] == {
            "difference": 0.0,
            "modifier": pytest.approx(hit["score"], abs=1e-6),
        }


@pytest.mark.parametrize(
    "text",
    ["😀" * 2500, "שלום " * 1000, "".join(map(chr, range(32))) * 300 + "low", "\u202e" * 3333],
    ids=["emoji", "right-to-left", "control", "override"],
)
def test_hostile_texts_are_handled(client: Client, text: str) -> None:
    for options in ({"json": {"clip_id": "low", "modifier": text}}, {"data": {"modifier": text}}):
        response = client.post("/search", **options)

        assert response.status_code in (200, 422)
        assert response.status_code == 200 or response.json()["code"] == "query_incomplete"
    assert search(client, json={"modifier": "low"})["hits"][0]["clip_id"] == "low"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "query_incomplete"),
        ({"modifier": ""}, "query_incomplete"),
        ({"modifier": "\t\n"}, "query_incomplete"),
        ({"modifier": "low", "modifier_strength": 0}, "query_incomplete"),
        ({"reference_id": "low"}, "query_incomplete"),
        ({"reference_id": "low", "modifier": "high"}, "query_incomplete"),
        ({"clip_id": "low", "modifier_strength": 1}, "request_invalid"),
        ({"clip_id": "low", "modifier": "high", "modifier_strength": -0.1}, "request_invalid"),
        ({"clip_id": "low", "modifier": "high", "modifier_strength": 4.1}, "request_invalid"),
        ({"clip_id": "low", "modifier": "high", "modifier_strength": "nan"}, "request_invalid"),
        ({"clip_id": "low", "modifier": 3}, "request_invalid"),
        ({"modifier": "x" * (MAX_TEXT_CHARACTERS + 1)}, "request_invalid"),
    ],
)
def test_invalid_queries_are_refused(client: Client, query: dict[str, Any], code: str) -> None:
    response = client.post("/search", json=query)

    assert (response.status_code, response.json()["code"]) == (422, code)


def test_server_timing_has_the_time_of_the_text(client: Client) -> None:
    new = synth.encode(synth.tone(321))
    response = client.post("/search", files={"audio": new}, data={"modifier": "high"})

    timings = [part.partition(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert timings[0] == "text"
    assert {"decode", "encode"} <= set(timings)
    assert timings[-3:] == ["compose", "search", "total"]


@pytest.fixture(scope="module")
def understanding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The service on a bundle that tells sounds and changes of a text."""
    folder = tmp_path_factory.mktemp("understanding")
    bundle = tiny_understanding.add(tiny_bundle.write(folder / "bundle", towers=0))
    with serving(bundle, folder / "library") as client:
        client.put_clips({word: synth.encode(it) for word, it in tiny_bundle.SOUNDS.items()})
        yield client


def test_the_answer_says_what_was_understood(understanding: Client, client: Client) -> None:
    query = {"clip_id": "low", "modifier": "without noise more high"}

    found = search(understanding, json=query)["understood"]

    assert [(each["change"], each["sound"]) for each in found] == [
        ("remove", "noise"),
        ("more", "high"),
    ]
    assert all(0 < each["confidence"] <= 1 for each in found)
    assert search(client, json=query)["understood"] == []


def test_a_text_alone_ranks_a_sound_that_it_excludes_last(understanding: Client) -> None:
    hits = search(understanding, json={"modifier": "without high"})["hits"]

    assert hits[-1]["clip_id"] == "high"
    assert len(hits) == len(tiny_bundle.SOUNDS)


def test_contributions_of_a_request_add_up_to_the_score(understanding: Client) -> None:
    query = {"clip_id": "low", "modifier": "without noise more high"}
    for hit in search(understanding, json=query)["hits"]:
        assert set(hit["contributions"]) == {"audio", "modifier"}
        assert sum(hit["contributions"].values()) == pytest.approx(hit["score"], abs=1e-5)


def test_an_unknown_text_is_answered_with_a_notice(understanding: Client) -> None:
    found = search(understanding, json={"modifier": "qwerty asdf"})

    assert [notice["code"] for notice in found["notices"]] == ["modifier_unknown"]
    assert len(found["hits"]) == len(tiny_bundle.SOUNDS)
    assert search(understanding, json={"modifier": "high"})["notices"] == []
