from __future__ import annotations

import io

import numpy as np
import pytest
import synth
from service_client import Client

from service.api.vector_encoding import parse_vector

TONE = synth.encode(synth.tone(440))
NOISE = synth.encode(synth.noise(0, 2.0, sample_rate=48_000), sample_rate=48_000, form="FLAC")


def test_files_are_embedded_in_their_order_with_their_properties(client: Client) -> None:
    files = [("audio", ("tone.wav", TONE)), ("audio", ("noise.flac", NOISE))]

    tone, noise = client.post("/embed", files=files).json()["embeddings"]

    assert len(tone.pop("embedding")) == len(noise.pop("embedding")) == 8
    assert tone == {
        "filename": "tone.wav",
        "duration_s": 1.0,
        "sample_rate_hz": 16_000,
        "channels": 1,
        "media_type": "audio/wav",
    }
    assert (noise["duration_s"], noise["sample_rate_hz"]) == (2.0, 48_000)
    assert noise["media_type"] == "audio/flac"


def test_numbers_base64_and_npy_are_the_same_vector(client: Client) -> None:
    numbers = client.post("/embed", content=TONE).json()["embeddings"][0]["embedding"]
    text = client.post("/embed?encoding=base64", content=TONE).json()["embeddings"][0]["embedding"]
    npy = client.post("/embed", content=TONE, headers={"accept": "application/x-npy"})

    assert npy.headers["content-type"] == "application/x-npy"
    array = np.load(io.BytesIO(npy.content))
    assert (array.shape, array.dtype) == ((1, 8), np.float32)
    assert np.array_equal(array[0], np.array(numbers, np.float32))
    assert np.array_equal(array[0], parse_vector(text))


def test_windows_cover_the_clip_and_the_hop_is_the_window_unless_given(client: Client) -> None:
    response = client.post("/embed?window_s=1&hop_s=0.4", content=NOISE).json()
    windows = response["embeddings"][0]["windows"]

    assert [window["start_s"] for window in windows] == pytest.approx([0.0, 0.4, 0.8, 1.2])
    assert windows[-1]["end_s"] == 2.0
    assert all(len(window["embedding"]) == 8 for window in windows)
    without_hop = client.post("/embed?window_s=1", content=NOISE).json()
    assert len(without_hop["embeddings"][0]["windows"]) == 2


def test_windows_of_one_file_can_be_npy(client: Client) -> None:
    headers = {"accept": "text/html;q=0.5, application/x-npy;q=1"}
    one = client.post("/embed?window_s=1", content=NOISE, headers=headers)
    files = [("audio", ("noise.flac", NOISE))] * 2
    two = client.post("/embed?window_s=1", files=files, headers=headers)

    assert np.load(io.BytesIO(one.content)).shape == (2, 8)
    assert two.json()["code"] == "window_invalid"


def test_a_hop_without_a_window_is_refused(client: Client) -> None:
    assert client.post("/embed?hop_s=1", content=TONE).json()["code"] == "window_invalid"
