from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.audio.decoding import AudioLimits
from service.audio.drift import InputReading
from service.bundle.files import load_bundle
from service.clips import NewClip
from service.concurrency.timings import RequestTimings
from service.errors import (
    ClipAudioMissingError,
    ClipUnknownError,
    EmbeddingInvalidError,
    SamplesTooManyError,
    WindowInvalidError,
)
from service.inference.batcher import SynchronousBatcher
from service.inference.cache import EmbeddingCache
from service.inference.embedding_space import CentredSpace
from service.inference.encoder import Encoder
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.inference.pooling import Windowing
from service.library.library import Library
from service.retrieval.inputs import ClipInput, EmbeddingInput, FileInput, InputEmbedder


def file(samples: np.ndarray) -> io.BytesIO:
    return io.BytesIO(synth.encode(samples, subtype="FLOAT"))


@pytest.fixture(scope="module")
def encoder(tiny_bundle_path: Path) -> Encoder:
    return Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=1)


@pytest.fixture
def library(encoder: Encoder, tmp_path: Path) -> Iterator[Library]:
    library = Library.open(tmp_path, space=CentredSpace(encoder.fingerprint, encoder.mean))
    yield library
    library.close()


def inputs(encoder: Encoder, library: Library, **options: Any) -> InputEmbedder:
    heard = options.pop("heard", [])
    limits = RequestLimits(**{"audio": AudioLimits(), "max_windows": 100, **options})
    embedder = FileEmbedder(
        encoder, SynchronousBatcher(encoder), limits=limits, on_input=heard.append
    )
    return InputEmbedder(embedder, library)


def test_sounds_of_every_kind_keep_their_order(encoder: Encoder, library: Library) -> None:
    stored = np.arange(8, dtype=np.float32)
    given = stored + 1
    library.writer.put(NewClip(id="a", embedding=stored))
    samples = synth.tone(440)

    embeddings = inputs(encoder, library).embed(
        [EmbeddingInput(given), FileInput(file(samples)), ClipInput("a")], RequestTimings()
    )

    assert np.array_equal(embeddings[0], given)
    assert np.array_equal(embeddings[1], encoder.embed([samples])[0])
    assert np.array_equal(embeddings[2], stored)


def test_equal_sounds_in_different_files_get_equal_bits(encoder: Encoder, library: Library) -> None:
    samples = np.round(synth.tone(440) * 32767) / 32768  # what both containers hold exactly
    flac = io.BytesIO(synth.encode(samples, form="FLAC"))

    first, second = inputs(encoder, library).embed(
        [FileInput(file(samples)), FileInput(flac)], RequestTimings()
    )

    assert first.tobytes() == second.tobytes()


def test_phases_and_lengths_are_noted(encoder: Encoder, library: Library) -> None:
    timings = RequestTimings()
    heard: list[InputReading] = []

    inputs(encoder, library, heard=heard).embed_files(
        [file(synth.tone(440, 0.5)), file(synth.tone(440, 1.5))], timings
    )

    assert list(timings.seconds) == ["decode", "queue", "encode"]
    assert [reading.duration_s for reading in heard] == [0.5, 1.5]


def test_the_samples_of_all_files_count_together(encoder: Encoder, library: Library) -> None:
    files = [file(synth.noise(n, 1.0)) for n in (1, 2)]
    enough = inputs(encoder, library, audio=AudioLimits(max_samples=32_000))
    one_less = inputs(encoder, library, audio=AudioLimits(max_samples=31_999))

    assert len(enough.embed_files(files, RequestTimings())) == 2
    with pytest.raises(SamplesTooManyError, match="31999 samples together"):
        one_less.embed_files(files, RequestTimings())


def test_windows_are_those_of_the_encoder(encoder: Encoder, library: Library) -> None:
    samples = synth.chirp(200, 4000, 2.0)

    (clip,) = inputs(encoder, library).embed_files(
        [file(samples)], RequestTimings(), windowing=Windowing(1.0, 0.5)
    )

    assert clip.windows is not None
    expected = encoder.embed_windows(samples, window_s=1.0, hop_s=0.5)
    assert np.array_equal(clip.windows.embeddings, expected.embeddings)


def test_too_many_windows_are_refused_before_they_are_made(
    encoder: Encoder, library: Library
) -> None:
    with pytest.raises(WindowInvalidError, match="5 are allowed"):
        inputs(encoder, library, max_windows=5).embed_files(
            [file(synth.silence(3.0))], RequestTimings(), windowing=Windowing(0.4, 0.4)
        )


def test_an_unknown_clip_and_a_vector_of_another_size_are_refused(
    encoder: Encoder, library: Library
) -> None:
    with pytest.raises(ClipUnknownError):
        inputs(encoder, library).embed([ClipInput("nobody")], RequestTimings())
    with pytest.raises(EmbeddingInvalidError):
        inputs(encoder, library).embed([EmbeddingInput(np.zeros(3, np.float32))], RequestTimings())


def test_of_a_file_the_level_is_known_and_of_a_stored_clip_it_is_not(
    encoder: Encoder, library: Library
) -> None:
    library.writer.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))
    samples = synth.noise(0)

    of_file, of_clip = inputs(encoder, library).hear(
        [FileInput(file(samples)), ClipInput("a")], RequestTimings()
    )

    assert of_file.mean_square == pytest.approx(float(np.square(samples).mean()), rel=1e-5)
    assert of_file.windows is None
    assert of_clip.mean_square is None


def test_windows_of_a_clip_without_audio_are_refused(encoder: Encoder, library: Library) -> None:
    library.writer.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))

    with pytest.raises(ClipAudioMissingError):
        inputs(encoder, library).hear(
            [ClipInput("a")], RequestTimings(), windowing=Windowing(1.0, 0.5)
        )


def test_the_level_is_known_again_of_a_file_that_was_heard_before(
    encoder: Encoder, library: Library
) -> None:
    embedder = FileEmbedder(
        encoder,
        SynchronousBatcher(encoder),
        limits=RequestLimits(audio=AudioLimits(), max_windows=100),
        cache=EmbeddingCache(10**6),
    )
    again = InputEmbedder(embedder, library)

    first, second = (
        again.hear([FileInput(file(synth.noise(2)))], RequestTimings())[0] for _ in range(2)
    )

    assert first.mean_square == second.mean_square
    assert first.mean_square
