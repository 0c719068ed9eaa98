from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.audio.decoding import AudioLimits
from service.clips import NewClip
from service.concurrency.timings import RequestTimings
from service.errors import (
    ClipAudioMissingError,
    ClipUnknownError,
    EmbeddingInvalidError,
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


@pytest.fixture
def library(encoder: Encoder, tmp_path: Path) -> Iterator[Library]:
    library = Library.open(tmp_path, space=CentredSpace(encoder.fingerprint, encoder.mean))
    yield library
    library.close()


def embedder(encoder: Encoder, **options: Any) -> FileEmbedder:
    limits = RequestLimits(audio=AudioLimits(), max_windows=100)
    return FileEmbedder(encoder, SynchronousBatcher(encoder), limits=limits, **options)


@pytest.fixture
def inputs(encoder: Encoder, library: Library) -> InputEmbedder:
    return InputEmbedder(embedder(encoder), library)


def test_sounds_of_every_kind_keep_their_order(
    encoder: Encoder, library: Library, inputs: InputEmbedder
) -> None:
    stored = np.arange(8, dtype=np.float32)
    given = stored + 1
    library.writer.put(NewClip(id="a", embedding=stored))
    samples = synth.tone(440)

    embedded = inputs.embed(
        [EmbeddingInput(given), FileInput(file(samples)), ClipInput("a")], RequestTimings()
    )

    assert np.array_equal(embedded[0].embedding, given)
    assert np.array_equal(embedded[1].embedding, encoder.embed([samples])[0])
    assert np.array_equal(embedded[2].embedding, stored)


def test_equal_sounds_in_different_files_get_equal_bits(inputs: InputEmbedder) -> None:
    samples = np.round(synth.tone(440) * 32767) / 32768  # both formats hold them exactly
    flac = io.BytesIO(synth.encode(samples, form="FLAC"))

    first, second = inputs.embed([FileInput(file(samples)), FileInput(flac)], RequestTimings())

    assert first.embedding.tobytes() == second.embedding.tobytes()


def test_an_unknown_clip_is_refused_before_anything_is_decoded(inputs: InputEmbedder) -> None:
    undecodable = FileInput(io.BytesIO(b"words"))

    with pytest.raises(ClipUnknownError):
        inputs.embed([undecodable, ClipInput("nobody")], RequestTimings())


def test_an_embedding_of_another_size_is_refused(inputs: InputEmbedder) -> None:
    with pytest.raises(EmbeddingInvalidError):
        inputs.embed([EmbeddingInput(np.zeros(3, np.float32))], RequestTimings())


def test_without_a_library_every_clip_is_unknown(encoder: Encoder) -> None:
    with pytest.raises(ClipUnknownError, match="no library is open"):
        InputEmbedder(embedder(encoder), None).embed([ClipInput("a")], RequestTimings())


def test_the_level_of_a_file_is_known_and_that_of_a_stored_clip_is_not(
    library: Library, inputs: InputEmbedder
) -> None:
    library.writer.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))
    samples = synth.noise(0)

    of_file, of_clip = inputs.embed([FileInput(file(samples)), ClipInput("a")], RequestTimings())

    assert of_file.mean_square == pytest.approx(float(np.square(samples).mean()), rel=1e-5)
    assert of_file.windows is None
    assert of_clip.mean_square is None


def test_windows_of_a_clip_without_audio_are_refused(
    library: Library, inputs: InputEmbedder
) -> None:
    library.writer.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))

    with pytest.raises(ClipAudioMissingError):
        inputs.embed([ClipInput("a")], RequestTimings(), windowing=Windowing(1.0, 0.5))


def test_the_level_of_a_cached_file_is_known(encoder: Encoder, library: Library) -> None:
    inputs = InputEmbedder(embedder(encoder, cache=EmbeddingCache(10**6)), library)

    first, second = (
        inputs.embed([FileInput(file(synth.noise(2)))], RequestTimings())[0] for _ in range(2)
    )

    assert first.mean_square
    assert first.mean_square == second.mean_square
