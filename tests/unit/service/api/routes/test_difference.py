from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
import tiny_change
from service_client import Client, serving

LOW = synth.encode(synth.tone(300))
MIXTURE = synth.encode(synth.tone(300) + synth.tone(2700))


@pytest.fixture
def client(client: Client) -> Client:
    """The service with three clips."""
    client.put_clips(
        {name: synth.encode(tiny_bundle.SOUNDS[name]) for name in ("low", "high", "noise")}
    )
    return client


def difference(client: Client, **options: Any) -> Any:
    return client.result("/difference", **options)


def test_an_added_sound_is_found(client: Client) -> None:
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


def test_the_difference_can_be_npy_or_base64(client: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}
    numbers = difference(client, files=files)["embedding"]
    text = difference(client, files=files, data={"encoding": "base64"})["embedding"]
    npy = client.post("/difference", files=files, headers={"accept": "application/x-npy"})

    assert isinstance(text, str)
    assert np.load(io.BytesIO(npy.content)).tolist() == np.array(numbers, np.float32).tolist()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"json": {"mixture_id": "low"}}, "part_missing"),
        ({"files": {"reference": LOW}}, "part_missing"),
        ({"files": {"mixture": LOW}, "data": {"mixture_id": "low"}}, "request_invalid"),
        ({"json": {"mixture_id": "low", "reference_id": "low", "k": 0}}, "k_out_of_range"),
    ],
)
def test_invalid_differences_are_refused(
    client: Client, options: dict[str, Any], code: str
) -> None:
    assert client.post("/difference", **options).json()["code"] == code


def test_an_added_sound_has_phrases_and_is_found(words_client: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}

    found = difference(words_client, files=files, data={"reference_weight": "1"})

    assert found["phrases"][0].items() >= {"phrase": "a high sound", "label": "high"}.items()
    scores = [phrase["score"] for phrase in found["phrases"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5
    first = found["hits"][0]
    assert first["clip_id"] == "high"
    assert first["contributions"] == {"difference": first["score"]}


@pytest.mark.parametrize(("n_phrases", "n_given"), [(0, 0), (2, 2), (50, 5)])
def test_the_number_of_phrases_is_as_asked_for(
    words_client: Client, n_phrases: int, n_given: int
) -> None:
    query = {"mixture_id": "noise", "reference_id": "low", "phrases": n_phrases}

    assert len(difference(words_client, json=query)["phrases"]) == n_given


@pytest.mark.parametrize("n_phrases", [-1, 51, 1.5, "x"])
def test_a_number_of_phrases_out_of_range_is_refused(
    words_client: Client, n_phrases: object
) -> None:
    query = {"mixture_id": "noise", "reference_id": "low", "phrases": n_phrases}

    assert words_client.post("/difference", json=query).json()["code"] == "request_invalid"


MIDDLE = synth.encode(synth.tone(900))


def test_of_several_references_the_mean_is_subtracted(client: Client) -> None:
    parts = [("mixture", MIXTURE), ("reference", LOW), ("reference", MIDDLE)]
    files = [(name, (f"{name}.wav", content)) for name, content in parts]
    alone = [
        np.array(difference(client, files={"mixture": MIXTURE, "reference": each})["embedding"])
        for each in (LOW, MIDDLE)
    ]

    found = difference(client, files=files)

    np.testing.assert_allclose(found["embedding"], np.mean(alone, axis=0), atol=1e-4)
    assert found["spread"] > 0
    once = difference(client, files={"mixture": MIXTURE, "reference": LOW})
    assert once["spread"] is None


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"mixture_id": "noise", "reference_id": ["low", "high"]}},
        {"content": b"mixture_id=noise&reference_id=low&reference_id=high"},
    ],
)
def test_several_stored_references_are_subtracted(client: Client, options: dict[str, Any]) -> None:
    if "content" in options:
        options["headers"] = {"content-type": "application/x-www-form-urlencoded"}

    found = difference(client, **options)

    assert found["spread"] > 0
    assert found["level_difference_db"] is None
    assert found["hits"] == []


def test_a_file_and_a_stored_clip_can_both_be_references(client: Client) -> None:
    files = {"mixture": MIXTURE, "reference": LOW}

    assert difference(client, files=files, data={"reference_id": "low"})["spread"] < 1e-3


@pytest.mark.parametrize("gain_db", [-6.0, 6.0])
def test_a_change_of_level_is_given_in_decibels(client: Client, gain_db: float) -> None:
    clip = synth.tone(300, amplitude=0.1)
    louder = synth.encode(clip * np.float32(10 ** (gain_db / 20)), subtype="FLOAT")
    files = {"mixture": louder, "reference": synth.encode(clip, subtype="FLOAT")}

    assert difference(client, files=files)["level_difference_db"] == pytest.approx(
        gain_db, abs=0.01
    )


def test_silence_has_no_level(client: Client) -> None:
    files = {"mixture": synth.encode(synth.silence()), "reference": LOW}

    assert difference(client, files=files)["level_difference_db"] is None


def test_the_curve_is_highest_where_the_sound_is(client: Client) -> None:
    low = synth.tone(300, 6)
    mixed = low.copy()
    mixed[48_000:56_000] += synth.tone(2700, 0.5)
    files = {"mixture": synth.encode(mixed), "reference": synth.encode(low)}

    curve = difference(client, files=files, data={"curve": "true"})["curve"]

    starts_s = [point["start_s"] for point in curve]
    assert np.abs(np.array(starts_s) - 0.5 * np.arange(len(curve))).max() <= 0.1 + 1e-6
    assert curve[-1]["end_s"] == pytest.approx(6)
    highest = max(curve, key=lambda point: point["relative_norm"])
    assert highest["start_s"] <= 3.5
    assert highest["end_s"] >= 3.0
    quiet = [point["relative_norm"] for point in curve if point["end_s"] < 2.9]
    assert max(quiet) < 0.2 * highest["relative_norm"]
    assert difference(client, files=files)["curve"] is None


def test_stored_clips_have_a_curve_and_a_level_once_they_are_decoded(client: Client) -> None:
    client.put("/clips/long", files={"audio": synth.encode(synth.noise(1, 3))})
    query = {"mixture_id": "long", "reference_id": "low", "curve": True, "hop_s": 0.4}

    found = difference(client, json=query)

    assert [point["start_s"] for point in found["curve"]][:3] == pytest.approx([0, 0.4, 0.8])
    assert isinstance(found["level_difference_db"], float)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"hop_s": 0.5}, "window_invalid"),
        ({"curve": True, "hop_s": 0.01}, "window_invalid"),
        ({"curve": True, "hop_s": "wide"}, "window_invalid"),
        ({"curve": "perhaps"}, "request_invalid"),
        ({"reference_id": ["low"] * 33}, "request_invalid"),
        ({"reference_id": ["low", "../x"]}, "clip_id_invalid"),
        ({"reference_id": ["low", "nobody"]}, "clip_unknown"),
        ({"reference_id": []}, "part_missing"),
    ],
)
def test_invalid_comparisons_are_refused(client: Client, fields: dict[str, Any], code: str) -> None:
    query = {"mixture_id": "noise", "reference_id": "low"} | fields

    assert client.post("/difference", json=query).json()["code"] == code


def test_a_curve_of_a_clip_without_audio_is_refused(client: Client) -> None:
    client.put_vector("vector")
    query = {"mixture_id": "vector", "reference_id": "low"}

    assert difference(client, json=query)["curve"] is None
    refused = client.post("/difference", json=query | {"curve": True})
    assert (refused.status_code, refused.json()["code"]) == (404, "clip_audio_missing")


def test_a_curve_of_too_many_points_says_how_many_are_allowed(client: Client) -> None:
    long = synth.encode(np.zeros(16_000 * 300, np.float32))
    files = {"mixture": long, "reference": long}

    refused = client.post("/difference", files=files, data={"curve": "true"})

    assert refused.json()["code"] == "window_invalid"
    assert "hop_s of 0.5 s makes too many windows" in refused.json()["detail"]
    answered = client.post("/difference", files=files, data={"curve": "true", "hop_s": "2"})
    assert answered.status_code == 200


def test_a_bundle_with_a_detector_decides_whether_something_was_added(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    bundle = tiny_change.copy_with_detector(tiny_bundle_path, tmp_path / "bundle")
    with serving(bundle, tmp_path / "library") as client:
        there = difference(client, files={"mixture": MIXTURE, "reference": LOW})["changed"]
        same = difference(client, files={"mixture": LOW, "reference": LOW})["changed"]

    assert there["changed"] == (there["score"] > there["threshold"])
    assert 0 <= there["false_alarm_rate"] <= same["false_alarm_rate"] == 1
    assert same["changed"] is False


def test_both_sides_have_words_and_for_files_a_time(words_client: Client) -> None:
    low, high = tiny_bundle.SOUNDS["low"], tiny_bundle.SOUNDS["high"]
    mixed = np.concatenate([np.tile(low, 2), np.tile(0.2 * low + high, 4), np.tile(low, 2)])
    files = {"mixture": synth.encode(mixed), "reference": synth.encode(np.tile(low, 8))}

    answer = difference(words_client, files=files)
    reverse = difference(
        words_client, files={"mixture": files["reference"], "reference": files["mixture"]}
    )

    added = answer["added"]
    assert answer["curve"] is None
    assert added["phrases"] == answer["phrases"]
    assert added["phrases"][0]["label"] == "high"
    length_s = low.size / 16_000
    assert added["start_s"] == pytest.approx(2 * length_s, abs=0.5)
    assert added["end_s"] == pytest.approx(6 * length_s, abs=0.5)
    assert reverse["removed"] == added
    assert f"from {added['start_s']:.1f} s to {added['end_s']:.1f} s" in answer["description"]


def test_sounds_too_long_for_the_windows_of_one_answer_have_no_time(words_client: Client) -> None:
    low, high = tiny_bundle.SOUNDS["low"], tiny_bundle.SOUNDS["high"]
    long = np.tile(low, 300)
    files = {"mixture": synth.encode(long + np.tile(high, 300)), "reference": synth.encode(long)}

    added = difference(words_client, files=files)["added"]

    assert added["phrases"]
    assert added["start_s"] is added["end_s"] is None


def test_peaks_have_phrases_and_other_points_have_none(words_client: Client) -> None:
    low, high = tiny_bundle.SOUNDS["low"], tiny_bundle.SOUNDS["high"]
    mixed = np.concatenate([low, low, high + low, low, low])
    files = {"mixture": synth.encode(mixed), "reference": synth.encode(np.tile(low, 5))}

    curve = difference(words_client, files=files, data={"curve": "true", "phrases": "1"})["curve"]

    peaks = [point for point in curve if point["phrases"]]
    assert 1 <= len(peaks) <= 5
    first = max(peaks, key=lambda point: point["relative_norm"])
    assert first["phrases"][0]["label"] == "high"
    assert all(len(point["phrases"]) <= 1 for point in curve)
