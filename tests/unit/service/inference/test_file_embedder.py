from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.audio.decoding import AudioLimits, decode
from service.audio.drift import InputReading
from service.bundle.files import load_bundle
from service.concurrency.deadline import Deadline
from service.concurrency.timings import RequestTimings
from service.errors import (
    AudioUndecodableError,
    DeadlineError,
    SamplesTooManyError,
    WindowInvalidError,
)
from service.inference.batcher import Batcher, EncodeRequest, Submitter, SynchronousBatcher
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.encoder import Encoder, Kind
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing

TIMEOUT_S = 30


@pytest.fixture(scope="module")
def encoder(tiny_bundle_path: Path) -> Encoder:
    return Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=1)


@pytest.fixture
def batcher(encoder: Encoder) -> Iterator[Batcher]:
    batcher = Batcher(encoder, runs=2)
    yield batcher
    batcher.close()


def make_ear(encoder: Encoder, batcher: Submitter | None = None, **options: Any) -> FileEmbedder:
    audio = options.pop("audio", AudioLimits())
    limits = RequestLimits(audio, options.pop("max_windows", 100))
    return FileEmbedder(encoder, batcher or SynchronousBatcher(encoder), limits=limits, **options)


def wav(samples: np.ndarray, sample_rate: int = 16_000) -> io.BytesIO:
    return io.BytesIO(synth.encode(samples, sample_rate=sample_rate, subtype="PCM_16"))


def flac(samples: np.ndarray) -> io.BytesIO:
    return io.BytesIO(synth.encode(samples, form="FLAC", subtype="PCM_16"))


def exact(samples: np.ndarray) -> np.ndarray:
    """Round to what 16 bits hold, so that every container holds the same."""
    rounded: np.ndarray = np.round(samples * 32767) / 32768
    return rounded.astype(np.float32)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
@pytest.mark.parametrize("duration_s", [0.01, 3.0, 15.0, 15.1, 47.3])
def test_a_file_becomes_what_its_whole_clip_becomes(
    encoder: Encoder, batcher: Batcher, sample_rate: int, duration_s: float
) -> None:
    file = wav(synth.chirp(100, 5000, duration_s, sample_rate=sample_rate), sample_rate)

    (heard,) = make_ear(encoder, batcher).embed([file], RequestTimings())

    audio = decode(file, sample_rate=16_000)
    inputs = {"waveform": audio.samples[None], "lengths": np.array([audio.samples.size])}
    (whole,) = encoder._session.run(inputs, ["embedding"])
    np.testing.assert_allclose(heard.embedding, whole[0], rtol=0, atol=1e-5 * np.abs(whole).max())
    assert heard.n_samples == audio.samples.size
    assert heard.info.duration_s == audio.duration_s
    assert (heard.info.sample_rate_hz, heard.info.media_type) == (sample_rate, "audio/wav")


@pytest.mark.parametrize("duration_s", [0.5, 40.0])
def test_windows_come_from_the_same_pass(encoder: Encoder, duration_s: float) -> None:
    file = wav(synth.noise(0, duration_s))

    (heard,) = make_ear(encoder).embed([file], RequestTimings(), windowing=Windowing(3.0, 1.2))

    samples = decode(file, sample_rate=16_000).samples
    expected = encoder.embed_windows(samples, window_s=3.0, hop_s=1.2)
    assert heard.windows is not None
    np.testing.assert_allclose(heard.windows.embeddings, expected.embeddings, atol=1e-5)
    assert heard.windows.ends_s.tolist() == expected.ends_s.tolist()
    np.testing.assert_allclose(heard.embedding, expected.whole, atol=1e-5)


@pytest.mark.parametrize("duration_s", [1.0, 33.0])
def test_equal_samples_of_one_request_get_equal_bits_under_load(
    encoder: Encoder, batcher: Batcher, duration_s: float
) -> None:
    embedder = make_ear(encoder, batcher, decoders=4)
    samples = exact(synth.noise(5, duration_s))

    def compare(seed: int) -> bool:
        other = wav(synth.noise(seed, 0.3 + seed % 3))
        first, _, second = embedder.embed([wav(samples), other, flac(samples)], RequestTimings())
        return first.embedding.tobytes() == second.embedding.tobytes()

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(compare, range(18)))


def test_equal_samples_share_even_an_embedding_from_the_cache(encoder: Encoder) -> None:
    cache = EmbeddingCache(10**6)
    embedder = make_ear(encoder, cache=cache)
    samples = exact(synth.tone(440))
    (heard,) = embedder.embed([wav(samples)], RequestTimings())
    # As if another batch had made it: not the same bits.
    other = dataclasses.replace(heard, embedding=heard.embedding + np.float32(1))
    cache.put((encoder.fingerprint, content_digest(wav(samples)), None), other)

    for order in ([wav(samples), flac(samples)], [flac(samples), wav(samples)]):
        first, second = embedder.embed(order, RequestTimings())
        assert first.embedding.tobytes() == second.embedding.tobytes()
        assert {first.info.media_type, second.info.media_type} == {"audio/wav", "audio/flac"}


def test_identical_files_of_one_request_are_decoded_once(encoder: Encoder) -> None:
    heard: list[InputReading] = []
    embedder = make_ear(encoder, on_input=heard.append)

    first, second = embedder.embed([wav(synth.tone(440)), wav(synth.tone(440))], RequestTimings())

    assert [reading.duration_s for reading in heard] == [1.0]
    assert first.embedding.tobytes() == second.embedding.tobytes()


def test_what_comes_in_is_measured_as_it_came(encoder: Encoder) -> None:
    heard: list[InputReading] = []
    samples = np.concatenate([synth.silence(sample_rate=44_100), np.ones(44_100, np.float32)])

    make_ear(encoder, on_input=heard.append).embed([wav(samples, 44_100)], RequestTimings())

    (reading,) = heard
    assert (reading.sample_rate_hz, reading.duration_s) == (44_100, 2.0)
    assert (reading.clipped_share, reading.silent_share) == (0.5, pytest.approx(0.5, abs=0.01))


def test_what_was_heard_before_is_not_decoded_again(encoder: Encoder) -> None:
    heard: list[InputReading] = []
    embedder = make_ear(encoder, cache=EmbeddingCache(10**6), on_input=heard.append)

    (first,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    (again,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    embedder.embed([wav(synth.tone(440))], RequestTimings(), windowing=Windowing(0.4, 0.4))

    assert [reading.duration_s for reading in heard] == [1.0, 1.0]
    assert again.embedding.tobytes() == first.embedding.tobytes()
    assert again.info == first.info


def test_what_is_known_counts_towards_the_limits_too(encoder: Encoder) -> None:
    embedder = make_ear(encoder, audio=AudioLimits(max_samples=32_000), cache=EmbeddingCache(10**6))
    files = [synth.noise(n, 1.0) for n in (1, 2)]
    embedder.embed([wav(samples) for samples in files], RequestTimings())

    with pytest.raises(SamplesTooManyError, match="32000 samples together"):
        embedder.embed([wav(samples) for samples in [*files, files[0]]], RequestTimings())


def test_the_windows_of_all_files_count_together(encoder: Encoder) -> None:
    files = [synth.noise(n, 2.0) for n in (1, 2)]
    windowing = Windowing(0.4, 0.4)

    enough = make_ear(encoder, max_windows=10)
    assert len(enough.embed([wav(it) for it in files], RequestTimings(), windowing=windowing)) == 2
    one_less = make_ear(encoder, max_windows=9)
    with pytest.raises(WindowInvalidError, match="9 are allowed"):
        one_less.embed([wav(it) for it in files], RequestTimings(), windowing=windowing)


def test_only_clips_beyond_a_length_are_cut(encoder: Encoder) -> None:
    """Also where that is longer than a piece."""
    embedder = make_ear(encoder)
    for beyond_s, lengths_s in ((2.0, (1.0, 2.0, 2.1)), (30.0, (10.0, 25.0, 31.0))):
        windowing = Windowing(beyond_s, beyond_s / 2, beyond_s=beyond_s)
        sounds = [synth.noise(n, length_s) for n, length_s in enumerate(lengths_s)]

        heard = embedder.embed(
            [wav(sound) for sound in sounds], RequestTimings(), windowing=windowing
        )

        assert [one.windows is None for one in heard] == [True, True, False]
        whole = encoder.embed([decode(wav(sound), sample_rate=16_000).samples for sound in sounds])
        for one, expected in zip(heard, whole, strict=True):
            np.testing.assert_allclose(one.embedding, expected, atol=1e-5 * expected.max())


def test_the_library_may_ask_for_more_windows_than_a_request(encoder: Encoder) -> None:
    embedder = make_ear(encoder, max_windows=2)
    windowing = Windowing(1.0, 0.5, beyond_s=1.0)

    (heard,) = embedder.embed(
        [wav(synth.noise(0, 4.0))], RequestTimings(), windowing=windowing, max_windows=99
    )

    assert heard.windows is not None
    assert len(heard.windows.embeddings) == 7


def test_a_file_that_was_stored_is_known_to_a_search_and_a_short_one_the_other_way(
    encoder: Encoder,
) -> None:
    heard: list[InputReading] = []
    embedder = make_ear(encoder, cache=EmbeddingCache(10**6), on_input=heard.append)
    windowing = Windowing(2.0, 1.0, beyond_s=2.0)
    short, long = synth.noise(0, 1.0), synth.noise(1, 5.0)

    stored = embedder.embed([wav(short), wav(long)], RequestTimings(), windowing=windowing)
    searched = embedder.embed([wav(short), wav(long)], RequestTimings())
    again = embedder.embed([wav(short), wav(long)], RequestTimings(), windowing=windowing)

    assert [reading.duration_s for reading in heard] == [1.0, 5.0]
    for one, other, third in zip(stored, searched, again, strict=True):
        assert one.embedding.tobytes() == other.embedding.tobytes() == third.embedding.tobytes()
    assert [one.windows is None for one in again] == [True, False]
    assert [one.windows for one in searched] == [None, None]


def test_a_bad_file_ends_the_request_and_harms_no_other(encoder: Encoder, batcher: Batcher) -> None:
    embedder = make_ear(encoder, batcher)
    with pytest.raises(AudioUndecodableError):
        embedder.embed(
            [wav(synth.noise(0, 20)), io.BytesIO(b"words, not waves" * 9)], RequestTimings()
        )

    (heard,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    assert np.isfinite(heard.embedding).all()


class SlowFile(io.BytesIO):
    """A file that is read no further until it is released."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.released = threading.Event()
        self.asked = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.set()
        assert self.released.wait(TIMEOUT_S)
        return super().read(size)


def test_decoding_takes_turns_and_waiting_for_one_ends_with_the_patience(
    encoder: Encoder,
) -> None:
    embedder = make_ear(encoder, decoders=1)
    slow = SlowFile(synth.encode(synth.tone(440)))
    late = RequestTimings()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(
            lambda: embedder.embed([slow, wav(synth.tone(220))], RequestTimings())
        )
        assert slow.asked.wait(TIMEOUT_S)
        with pytest.raises(DeadlineError):
            wait_in_vain(embedder, late)
        slow.released.set()
        heard = first.result(TIMEOUT_S)

    assert len(heard) == 2


def wait_in_vain(embedder: FileEmbedder, timings: RequestTimings) -> list[Embedded]:
    """Ask for a file that gets no turn, until the deadline."""
    timings.deadline.begin(0.05)
    return embedder.embed([wav(synth.tone(880))], timings)


class Greedy(SynchronousBatcher):
    """Takes the only turn to decode with the first clip that it encodes, and keeps it."""

    embedder: FileEmbedder

    def submit(self, samples: np.ndarray, kind: Kind, deadline: Deadline) -> EncodeRequest:
        self.turn = self.embedder.decoding(RequestTimings())
        self.turn.__enter__()
        return super().submit(samples, kind, deadline)


def test_what_follows_a_whole_clip_takes_no_turn(encoder: Encoder) -> None:
    runs = Greedy(encoder)
    runs.embedder = make_ear(encoder, runs, decoders=1)
    timings = RequestTimings()
    timings.deadline.begin(TIMEOUT_S)

    (heard,) = runs.embedder.embed([wav(synth.tone(440))], timings)

    assert heard.n_samples == 16_000
