"""Windows of long recordings: a sound is found at its time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import synth
from service_client import Client, serving

RECORDING_S = 180.0
EVENTS_S = {"dawn": (12.0, 900), "noon": (97.0, 300), "dusk": (171.0, 2700)}
"""Three recordings of noise: in each a tone begins at this time [s] and has this pitch [Hz]."""
EVENT_S = 3.0


def recording(start_s: float, pitch_hz: float, seed: int) -> np.ndarray:
    samples = synth.noise(seed, RECORDING_S, amplitude=0.02)
    first = round(start_s * synth.SAMPLE_RATE)
    event = synth.tone(pitch_hz, EVENT_S)
    samples[first : first + event.size] += event
    return samples


@pytest.fixture(scope="module")
def recordings() -> dict[str, bytes]:
    return {
        name: synth.encode(recording(*event, seed), form="FLAC")
        for seed, (name, event) in enumerate(EVENTS_S.items())
    }


@pytest.fixture(scope="module")
def filled(
    towers_bundle_path: Path,
    recordings: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Client]:
    """The service with three long recordings and two short sounds; not to be written to."""
    with serving(towers_bundle_path, tmp_path_factory.mktemp("windows") / "library") as client:
        for name, content in recordings.items():
            metadata = orjson.dumps({"n": len(name), "name": name})
            response = client.put(
                f"/clips/{name}", files={"audio": content}, data={"metadata": metadata}
            )
            assert response.json()["clip"]["windows"] == 35
        for name, sound in {"hiss": synth.noise(9, 2.0), "ticks": synth.impulses(20)}.items():
            response = client.put(f"/clips/{name}", files={"audio": synth.encode(sound)})
            assert response.json()["clip"]["windows"] == 0
        yield client


def hits(client: Client, path: str = "/search", **options: Any) -> Any:
    return client.result(path, **options)["hits"]


@pytest.mark.parametrize("name", EVENTS_S)
def test_a_search_for_an_event_finds_the_recording_and_the_window(
    filled: Client, name: str
) -> None:
    start_s, pitch_hz = EVENTS_S[name]
    event = synth.encode(synth.tone(pitch_hz, EVENT_S))

    found = hits(filled, files={"audio": event}, data={"k": "9"})

    assert found[0]["clip_id"] == name
    assert found[0]["start_s"] <= start_s
    assert found[0]["end_s"] >= start_s + EVENT_S
    assert found[0]["end_s"] - found[0]["start_s"] == 10
    assert sorted(hit["clip_id"] for hit in found) == ["dawn", "dusk", "hiss", "noon", "ticks"]
    assert {hit["clip_id"]: hit["end_s"] for hit in found}["hiss"] == 2.0


def test_a_text_finds_the_window_and_contributions_add_up(filled: Client) -> None:
    fields = {"modifier": "low", "every_window": True, "k": 20}
    for query in (fields, fields | {"clip_id": "hiss", "modifier_strength": 2}):
        best, *_ = found = hits(filled, json=query)

        assert best["clip_id"] == "noon"
        assert best["start_s"] <= 97 <= best["end_s"] - EVENT_S
        for hit in found:
            assert sum(hit["contributions"].values()) == pytest.approx(hit["score"], abs=1e-5)


def test_a_difference_is_found_at_its_window(filled: Client) -> None:
    files = {
        "mixture": synth.encode(recording(1.0, 900, 5)[:96_000]),
        "reference": synth.encode(recording(50.0, 900, 5)[:96_000]),
    }

    best, *others = hits(filled, "/difference", files=files, data={"k": "3"})

    assert best["clip_id"] == "dawn"
    assert best["start_s"] <= 12 <= best["end_s"] - EVENT_S
    assert len({best["clip_id"], *(hit["clip_id"] for hit in others)}) == 3
    every = hits(filled, "/difference", files=files, data={"k": "50", "every_window": "true"})
    assert len(every) == 50


def test_vectors_of_clips_and_windows_are_counted(filled: Client) -> None:
    library, metrics = filled.get("/info").json()["library"], filled.get("/metrics").text
    assert (library["clips"], library["vectors"]) == (5, 5 + 3 * 35)
    assert "minuend_library_vectors 110.0" in metrics
    assert "minuend_library_clips 5.0" in metrics
    assert filled.get("/map").json()["clips"] == len(filled.get("/map").json()["points"]) == 5
    listed = {clip["clip_id"]: clip["windows"] for clip in filled.get("/clips").json()["clips"]}
    assert listed == {"dawn": 35, "noon": 35, "dusk": 35, "hiss": 0, "ticks": 0}


def test_another_process_and_a_restart_find_the_same_and_deletion_removes_all(
    towers_bundle_path: Path, recordings: dict[str, bytes], tmp_path: Path
) -> None:
    query = {"modifier": "low", "every_window": True, "k": 100}
    library = tmp_path / "library"
    with serving(towers_bundle_path, library) as client:
        client.put("/clips/noon", files={"audio": recordings["noon"]})
        before = hits(client, json=query)
        with serving(towers_bundle_path, library) as other:
            assert hits(other, json=query) == before
    with serving(towers_bundle_path, library) as client:
        assert hits(client, json=query) == before
        assert len(before) == 35

        client.put("/clips/noon", files={"audio": synth.encode(synth.tone(300, 10.0))})
        assert [(h["start_s"], h["end_s"]) for h in hits(client, json=query)] == [(0, 10)]
        client.put("/clips/noon", files={"audio": recordings["noon"]})
        assert hits(client, json=query) == before
        client.delete("/clips/noon")
        assert hits(client, json=query) == []
        assert client.get("/info").json()["library"]["vectors"] == 0


def test_the_length_of_windows_is_a_setting(towers_bundle_path: Path, tmp_path: Path) -> None:
    long = synth.encode(synth.noise(0, 9.0))
    with serving(towers_bundle_path, tmp_path / "library", window_s=4.0) as client:
        client.put("/clips/long", files={"audio": long})
        found = hits(client, json={"modifier": "noise", "every_window": True})

        assert sorted(hit["end_s"] for hit in found) == [4.0, 6.0, 8.0, 9.0]
