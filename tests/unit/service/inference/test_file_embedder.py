from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import synth

from service.audio.decoding import AudioLimits, decode
from service.audio.errors import (
    AudioUndecodableError,
    SamplesTooManyError,
)
from service.audio.levels import InputReading
from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.concurrency.timings import RequestTimings
from service.errors import (
    DeadlineError,
    WindowInvalidError,
)
from service.inference.batcher import Batcher, EncodeRequest, Submitter, SynchronousBatcher
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.chunking import Output
from service.inference.encoder import Encoder
from service.inference.file_embedder import Decoders, FileEmbedder, RequestLimits
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing

TIMEOUT_S = 30


@pytest.fixture
def batcher(encoder: Encoder) -> Iterator[Batcher]:
    batcher = Batcher(encoder, runs=2)
    yield batcher
    batcher.close()


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def make_embedder(
    encoder: Encoder, batcher: Submitter | None = None, **options: Any
) -> FileEmbedder:
    audio = options.pop("audio", AudioLimits())
    limits = RequestLimits(audio, options.pop("max_windows", 100))
    return FileEmbedder(encoder, batcher or SynchronousBatcher(encoder), limits=limits, **options)


def wav(samples: np.ndarray, sample_rate: int = 16_000) -> io.BytesIO:
    return io.BytesIO(synth.encode(samples, sample_rate=sample_rate, subtype="PCM_16"))


def flac(samples: np.ndarray) -> io.BytesIO:
    return io.BytesIO(synth.encode(samples, form="FLAC", subtype="PCM_16"))


def exact(samples: np.ndarray) -> np.ndarray:
    """Round to 16 bits, so that every container holds the same samples."""
    rounded: np.ndarray = np.round(samples * 32767) / 32768
    return rounded.astype(np.float32)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
@pytest.mark.parametrize("duration_s", [0.01, 3.0, 15.0, 15.1, 47.3])
def test_a_file_has_the_embedding_of_its_whole_clip(
    encoder: Encoder, batcher: Batcher, sample_rate: int, duration_s: float
) -> None:
    file = wav(synth.chirp(100, 5000, duration_s, sample_rate=sample_rate), sample_rate)

    (embedded,) = make_embedder(encoder, batcher).embed([file], RequestTimings())

    audio = decode(file, sample_rate=16_000)
    inputs = {"waveform": audio.samples[None], "lengths": np.array([audio.samples.size])}
    (whole,) = encoder._session.run(inputs, ["embedding"])
    assert_close(embedded.embedding, whole[0])
    assert embedded.n_samples == audio.samples.size
    assert embedded.info.duration_s == audio.duration_s
    assert (embedded.info.sample_rate_hz, embedded.info.media_type) == (sample_rate, "audio/wav")


@pytest.mark.parametrize("duration_s", [1.0, 33.0])
def test_equal_samples_of_one_request_get_equal_bits_under_load(
    encoder: Encoder, batcher: Batcher, duration_s: float
) -> None:
    embedder = make_embedder(encoder, batcher, decoders=Decoders(4))
    samples = exact(synth.noise(5, duration_s))

    def compare(seed: int) -> bool:
        other = wav(synth.noise(seed, 0.3 + seed % 3))
        first, _, second = embedder.embed([wav(samples), other, flac(samples)], RequestTimings())
        return first.embedding.tobytes() == second.embedding.tobytes()

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(compare, range(18)))


def test_equal_samples_share_even_an_embedding_from_the_cache(encoder: Encoder) -> None:
    cache = EmbeddingCache(10**6)
    embedder = make_embedder(encoder, cache=cache)
    samples = exact(synth.tone(440))
    (embedded,) = embedder.embed([wav(samples)], RequestTimings())
    # With other bits, as if it came from another batch.
    other = dataclasses.replace(embedded, embedding=embedded.embedding + np.float32(1))
    cache.put(encoder.info, content_digest(wav(samples)), None, other)

    for order in ([wav(samples), flac(samples)], [flac(samples), wav(samples)]):
        first, second = embedder.embed(order, RequestTimings())
        assert first.embedding.tobytes() == second.embedding.tobytes()
        assert {first.info.media_type, second.info.media_type} == {"audio/wav", "audio/flac"}


def test_identical_files_of_one_request_are_decoded_once(encoder: Encoder) -> None:
    readings: list[InputReading] = []
    embedder = make_embedder(encoder, on_input=readings.append)

    first, second = embedder.embed([wav(synth.tone(440)), wav(synth.tone(440))], RequestTimings())

    assert [reading.duration_s for reading in readings] == [1.0]
    assert first.embedding.tobytes() == second.embedding.tobytes()


def test_the_source_is_measured_before_resampling(encoder: Encoder) -> None:
    readings: list[InputReading] = []
    samples = np.concatenate([synth.silence(sample_rate=44_100), np.ones(44_100, np.float32)])

    make_embedder(encoder, on_input=readings.append).embed([wav(samples, 44_100)], RequestTimings())

    (reading,) = readings
    assert (reading.sample_rate_hz, reading.duration_s) == (44_100, 2.0)
    assert (reading.clipped_share, reading.silent_share) == (0.5, pytest.approx(0.5, abs=0.01))


def test_a_file_in_the_cache_is_not_decoded_again(encoder: Encoder) -> None:
    readings: list[InputReading] = []
    embedder = make_embedder(encoder, cache=EmbeddingCache(10**6), on_input=readings.append)

    (first,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    (again,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    embedder.embed([wav(synth.tone(440))], RequestTimings(), windowing=Windowing(0.4, 0.4))

    assert [reading.duration_s for reading in readings] == [1.0, 1.0]
    assert again.embedding.tobytes() == first.embedding.tobytes()
    assert again.info == first.info


def test_files_in_the_cache_count_towards_the_limits(encoder: Encoder) -> None:
    embedder = make_embedder(
        encoder, audio=AudioLimits(max_samples=32_000), cache=EmbeddingCache(10**6)
    )
    files = [synth.noise(n, 1.0) for n in (1, 2)]
    embedder.embed([wav(samples) for samples in files], RequestTimings())

    with pytest.raises(SamplesTooManyError, match="32000 samples together"):
        embedder.embed([wav(samples) for samples in [*files, files[0]]], RequestTimings())


def test_the_windows_of_all_files_count_together(encoder: Encoder) -> None:
    files = [synth.noise(n, 2.0) for n in (1, 2)]
    windowing = Windowing(0.4, 0.4)

    enough = make_embedder(encoder, max_windows=10)
    assert len(enough.embed([wav(it) for it in files], RequestTimings(), windowing=windowing)) == 2
    one_less = make_embedder(encoder, max_windows=9)
    with pytest.raises(WindowInvalidError, match="9 are allowed"):
        one_less.embed([wav(it) for it in files], RequestTimings(), windowing=windowing)


def test_only_clips_beyond_a_length_are_cut(encoder: Encoder) -> None:
    """Also if that length is longer than a chunk."""
    embedder = make_embedder(encoder)
    for beyond_s, lengths_s in ((2.0, (1.0, 2.0, 2.1)), (30.0, (10.0, 25.0, 31.0))):
        windowing = Windowing(beyond_s, beyond_s / 2, beyond_s=beyond_s)
        sounds = [synth.noise(n, length_s) for n, length_s in enumerate(lengths_s)]

        embedded = embedder.embed(
            [wav(sound) for sound in sounds], RequestTimings(), windowing=windowing
        )

        assert [one.windows is None for one in embedded] == [True, True, False]
        whole = encoder.embed([decode(wav(sound), sample_rate=16_000).samples for sound in sounds])
        for one, expected in zip(embedded, whole, strict=True):
            assert_close(one.embedding, expected)


def test_the_library_may_ask_for_more_windows_than_a_request(encoder: Encoder) -> None:
    embedder = make_embedder(encoder, max_windows=2)
    windowing = Windowing(1.0, 0.5, beyond_s=1.0)

    (embedded,) = embedder.embed(
        [wav(synth.noise(0, 4.0))], RequestTimings(), windowing=windowing, max_windows=99
    )

    assert embedded.windows is not None
    assert len(embedded.windows.embeddings) == 7


def test_the_cache_is_shared_by_uploads_with_windows_and_searches_without(
    encoder: Encoder,
) -> None:
    readings: list[InputReading] = []
    embedder = make_embedder(encoder, cache=EmbeddingCache(10**6), on_input=readings.append)
    windowing = Windowing(2.0, 1.0, beyond_s=2.0)
    short, long = synth.noise(0, 1.0), synth.noise(1, 5.0)

    stored = embedder.embed([wav(short), wav(long)], RequestTimings(), windowing=windowing)
    searched = embedder.embed([wav(short), wav(long)], RequestTimings())
    again = embedder.embed([wav(short), wav(long)], RequestTimings(), windowing=windowing)

    assert [reading.duration_s for reading in readings] == [1.0, 5.0]
    for one, other, third in zip(stored, searched, again, strict=True):
        assert one.embedding.tobytes() == other.embedding.tobytes() == third.embedding.tobytes()
    assert [one.windows is None for one in again] == [True, False]
    assert [one.windows for one in searched] == [None, None]


def test_a_bad_file_ends_its_request_and_no_other(encoder: Encoder, batcher: Batcher) -> None:
    embedder = make_embedder(encoder, batcher)
    with pytest.raises(AudioUndecodableError):
        embedder.embed(
            [wav(synth.noise(0, 20)), io.BytesIO(b"not an audio file" * 9)], RequestTimings()
        )

    (embedded,) = embedder.embed([wav(synth.tone(440))], RequestTimings())
    assert np.isfinite(embedded.embedding).all()


class SlowFile(io.BytesIO):
    """A file whose reads block until it is released."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.released = threading.Event()
        self.entered = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.entered.set()
        assert self.released.wait(TIMEOUT_S)
        return super().read(size)


def test_few_threads_decode_at_once_and_waiting_ends_with_the_deadline(
    encoder: Encoder,
) -> None:
    embedder = make_embedder(encoder, decoders=Decoders(1))
    slow = SlowFile(synth.encode(synth.tone(440)))
    late = RequestTimings()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(
            lambda: embedder.embed([slow, wav(synth.tone(220))], RequestTimings())
        )
        assert slow.entered.wait(TIMEOUT_S)
        with pytest.raises(DeadlineError):
            embed_late(embedder, late)
        slow.released.set()
        embedded = first.result(TIMEOUT_S)

    assert len(embedded) == 2


def embed_late(embedder: FileEmbedder, timings: RequestTimings) -> list[Embedded]:
    """Embed a file while another thread decodes, until the deadline."""
    timings.deadline.begin(0.05)
    return embedder.embed([wav(synth.tone(880))], timings)


class DecoderTakingBatcher(SynchronousBatcher):
    """Occupies the only decoder with the first clip that it encodes, and keeps it."""

    embedder: FileEmbedder

    def submit(self, samples: np.ndarray, output: Output, deadline: Deadline) -> EncodeRequest:
        self.embedder.decoders.acquire(Deadline())
        return super().submit(samples, output, deadline)


def test_after_the_last_chunk_of_a_file_no_decoder_is_needed(encoder: Encoder) -> None:
    batcher = DecoderTakingBatcher(encoder)
    batcher.embedder = make_embedder(encoder, batcher, decoders=Decoders(1))
    timings = RequestTimings()
    timings.deadline.begin(TIMEOUT_S)

    (embedded,) = batcher.embedder.embed([wav(synth.tone(440))], timings)

    assert embedded.n_samples == 16_000


def test_a_request_whose_client_left_is_not_decoded_further(encoder: Encoder) -> None:
    readings: list[InputReading] = []
    embedder = make_embedder(encoder, on_input=readings.append)
    timings = RequestTimings()
    timings.deadline.abandon()

    with pytest.raises(ClientDisconnectedError):
        embedder.embed([wav(synth.tone(440))], timings)
    assert readings == []


def test_equal_samples_of_two_files_are_encoded_once(encoder: Encoder) -> None:
    samples = exact(synth.tone(440))
    batcher = CountingBatcher(encoder)

    first, second = make_embedder(encoder, batcher).embed(
        [wav(samples), flac(samples)], RequestTimings()
    )

    assert batcher.n_clips == 1
    assert first.embedding.tobytes() == second.embedding.tobytes()
    assert (first.info.media_type, second.info.media_type) == ("audio/wav", "audio/flac")


class CountingBatcher(SynchronousBatcher):
    """Counts the clips that are submitted."""

    n_clips = 0

    def submit(self, samples: np.ndarray, output: Output, deadline: Deadline) -> EncodeRequest:
        self.n_clips += 1
        return super().submit(samples, output, deadline)


def test_no_files_need_no_work(encoder: Encoder) -> None:
    timings = RequestTimings()

    assert make_embedder(encoder).embed([], timings) == []
    assert timings.seconds == {}
