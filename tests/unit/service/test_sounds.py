from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth

from service.audio import AudioLimits
from service.batching import AtOnce
from service.bundle import load_bundle
from service.cache import EmbeddingCache
from service.clips import NewClip
from service.drift import InputReading
from service.encoder import Encoder
from service.errors import (
    ClipAudioMissingError,
    ClipUnknownError,
    EmbeddingInvalidError,
    SamplesTooManyError,
    WindowInvalidError,
)
from service.hearing import Ear, HearingLimits
from service.library import Library
from service.pooling import Windowing
from service.sounds import File, Listener, Stored, Vector
from service.space import CentredSpace
from service.timing import Phases


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


def listener(encoder: Encoder, library: Library, **options: Any) -> Listener:
    heard = options.pop("heard", [])
    limits = HearingLimits(**{"audio": AudioLimits(), "max_windows": 100, **options})
    ear = Ear(encoder, AtOnce(encoder), limits=limits, on_input=heard.append)
    return Listener(ear, library)


def test_sounds_of_every_kind_keep_their_order(encoder: Encoder, library: Library) -> None:
    stored = np.arange(8, dtype=np.float32)
    given = stored + 1
    library.put(NewClip(id="a", embedding=stored))
    samples = synth.tone(440)

    embeddings = listener(encoder, library).embed(
        [Vector(given), File(file(samples)), Stored("a")], Phases()
    )

    assert np.array_equal(embeddings[0], given)
    assert np.array_equal(embeddings[1], encoder.embed([samples])[0])
    assert np.array_equal(embeddings[2], stored)


def test_equal_sounds_in_different_files_get_equal_bits(encoder: Encoder, library: Library) -> None:
    samples = np.round(synth.tone(440) * 32767) / 32768  # what both containers hold exactly
    flac = io.BytesIO(synth.encode(samples, form="FLAC"))

    first, second = listener(encoder, library).embed([File(file(samples)), File(flac)], Phases())

    assert first.tobytes() == second.tobytes()


def test_phases_and_lengths_are_noted(encoder: Encoder, library: Library) -> None:
    phases = Phases()
    heard: list[InputReading] = []

    listener(encoder, library, heard=heard).embed_files(
        [file(synth.tone(440, 0.5)), file(synth.tone(440, 1.5))], phases
    )

    assert list(phases.seconds) == ["decode", "queue", "encode"]
    assert [reading.duration_s for reading in heard] == [0.5, 1.5]


def test_the_samples_of_all_files_count_together(encoder: Encoder, library: Library) -> None:
    files = [file(synth.noise(n, 1.0)) for n in (1, 2)]
    enough = listener(encoder, library, audio=AudioLimits(max_samples=32_000))
    one_less = listener(encoder, library, audio=AudioLimits(max_samples=31_999))

    assert len(enough.embed_files(files, Phases())) == 2
    with pytest.raises(SamplesTooManyError, match="31999 samples together"):
        one_less.embed_files(files, Phases())


def test_windows_are_those_of_the_encoder(encoder: Encoder, library: Library) -> None:
    samples = synth.chirp(200, 4000, 2.0)

    (clip,) = listener(encoder, library).embed_files(
        [file(samples)], Phases(), windowing=Windowing(1.0, 0.5)
    )

    assert clip.windows is not None
    expected = encoder.embed_windows(samples, window_s=1.0, hop_s=0.5)
    assert np.array_equal(clip.windows.embeddings, expected.embeddings)


def test_too_many_windows_are_refused_before_they_are_made(
    encoder: Encoder, library: Library
) -> None:
    with pytest.raises(WindowInvalidError, match="5 are allowed"):
        listener(encoder, library, max_windows=5).embed_files(
            [file(synth.silence(3.0))], Phases(), windowing=Windowing(0.4, 0.4)
        )


def test_an_unknown_clip_and_a_vector_of_another_size_are_refused(
    encoder: Encoder, library: Library
) -> None:
    with pytest.raises(ClipUnknownError):
        listener(encoder, library).embed([Stored("nobody")], Phases())
    with pytest.raises(EmbeddingInvalidError):
        listener(encoder, library).embed([Vector(np.zeros(3, np.float32))], Phases())


def test_of_a_file_the_level_is_known_and_of_a_stored_clip_it_is_not(
    encoder: Encoder, library: Library
) -> None:
    library.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))
    samples = synth.noise(0)

    of_file, of_clip = listener(encoder, library).hear([File(file(samples)), Stored("a")], Phases())

    assert of_file.mean_square == pytest.approx(float(np.square(samples).mean()), rel=1e-5)
    assert of_file.windows is None
    assert of_clip.mean_square is None


def test_windows_of_a_clip_without_audio_are_refused(encoder: Encoder, library: Library) -> None:
    library.put(NewClip(id="a", embedding=np.zeros(8, np.float32)))

    with pytest.raises(ClipAudioMissingError):
        listener(encoder, library).hear([Stored("a")], Phases(), windowing=Windowing(1.0, 0.5))


def test_the_level_is_known_again_of_a_file_that_was_heard_before(
    encoder: Encoder, library: Library
) -> None:
    ear = Ear(
        encoder,
        AtOnce(encoder),
        limits=HearingLimits(audio=AudioLimits(), max_windows=100),
        cache=EmbeddingCache(10**6),
    )
    again = Listener(ear, library)

    first, second = (again.hear([File(file(synth.noise(2)))], Phases())[0] for _ in range(2))

    assert first.mean_square == second.mean_square
    assert first.mean_square
