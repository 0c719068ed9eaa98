from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import synth
from service_client import Client

SOUNDS = {"low": 300, "low too": 320, "high": 2700, "high too": 2800}


@pytest.fixture
def client(client: Client) -> Client:
    """The service with two low tones and two high ones."""
    for title, frequency_hz in SOUNDS.items():
        metadata = {"title": title, "kind": title.split()[0], "hz": frequency_hz, "tags": ["tone"]}
        client.put(
            f"/clips/{title.replace(' ', '-')}",
            files={"audio": synth.encode(synth.tone(frequency_hz))},
            data={"metadata": json.dumps(metadata)},
        )
    return client


def points_by_title(client: Client, **query: Any) -> dict[str, dict[str, Any]]:
    response = client.get("/map", params=query).json()
    return {point["title"]: point for point in response["points"]}


def test_similar_sounds_are_close_together(client: Client) -> None:
    points = points_by_title(client)

    def apart(one: str, other: str) -> float:
        first, second = ((points[name]["x"], points[name]["y"]) for name in (one, other))
        return float(np.hypot(*np.subtract(first, second)))

    assert apart("low", "low too") < 0.5 * apart("low", "high")
    assert apart("high", "high too") < 0.5 * apart("low", "high")


@pytest.mark.parametrize(
    ("group", "expected"), [("kind", "low"), ("hz", 300), ("tags", "tone"), ("place", None)]
)
def test_clips_are_grouped_by_a_field_of_their_metadata(
    client: Client, group: str, expected: str | None
) -> None:
    assert points_by_title(client, group=group)["low"]["group"] == expected


def test_the_map_has_revision_and_number_of_clips(client: Client) -> None:
    response = client.get("/map").json()

    assert response["clips"] == len(response["points"]) == 4
    assert response["revision"] == client.get("/info").json()["library"]["revision"]
    assert 0 < response["shown"] <= 1
    assert {point["audio"] for point in response["points"]} == {
        f"/clips/{title.replace(' ', '-')}/audio" for title in SOUNDS
    }


def test_a_clip_without_a_name_has_no_title(client: Client) -> None:
    client.put("/clips/plain", files={"audio": synth.encode(synth.noise(0))})

    points = client.get("/map").json()["points"]

    assert [point["title"] for point in points if point["clip_id"] == "plain"] == [None]


def test_long_titles_are_cut(client: Client) -> None:
    audio = synth.encode(synth.noise(0))
    client.put(
        "/clips/a", files={"audio": audio}, data={"metadata": '{"name": "' + 500 * "x" + '"}'}
    )

    assert "x" * 200 in points_by_title(client)


def test_an_unknown_parameter_is_refused(client: Client) -> None:
    assert client.get("/map?groups=kind").json()["code"] == "request_invalid"
    assert client.get("/map?group=").json()["code"] == "request_invalid"
