from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import synth
from tiny_library import make_embedding

from service.audio.decoding import AudioLimits
from service.audio.errors import AudioTooLongError
from service.clips import ClipRecord, NewClip, StoredAudio
from service.concurrency.timings import RequestTimings
from service.errors import ClipAudioMissingError
from service.library.library import Library
from service.pictures import gallery as gallery_module
from service.pictures.gallery import Gallery, name_of
from service.pictures.png import to_png
from service.pictures.spectrogram import draw

SAMPLES = synth.chirp(300, 5000, 1.5)
WAV = synth.encode(SAMPLES, subtype="FLOAT")


def open_gallery(library: Library, *, max_seconds: float = 60) -> Gallery:
    limits = AudioLimits(max_seconds=max_seconds)
    return Gallery(library, sample_rate=16_000, limits=limits)


def store(library: Library, content: bytes, clip_id: str = "a") -> ClipRecord:
    audio = StoredAudio(io.BytesIO(content), hashlib.sha256(content).hexdigest(), ".wav")
    record, _ = library.writer.put(NewClip(id=clip_id, embedding=make_embedding(0), audio=audio))
    return record


def test_a_clip_and_its_file_have_the_same_picture(library: Library) -> None:
    gallery = open_gallery(library)

    _, of_clip = gallery.of_clip(store(library, WAV), 120, RequestTimings())
    of_file = gallery.of_file(io.BytesIO(WAV), 120, RequestTimings())

    assert of_clip.spectrogram == of_file.spectrogram
    assert of_clip.spectrogram == to_png(draw(SAMPLES, sample_rate=16_000, columns=120))
    assert np.array_equal(of_clip.maxima, of_file.maxima)
    assert of_clip.maxima.max() == SAMPLES.max()
    assert of_clip.duration_s == of_file.duration_s == 1.5


def test_a_picture_is_cached(library: Library) -> None:
    gallery, record = open_gallery(library), store(library, WAV)
    _, first = gallery.of_clip(record, 120, RequestTimings())
    library.audio_path("a").unlink()

    assert gallery.of_clip(record, 120, RequestTimings())[1] is first
    with pytest.raises(ClipAudioMissingError):
        gallery.of_clip(record, 121, RequestTimings())


def test_the_pictures_used_last_are_cached(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "CACHE_PICTURES", 2)
    gallery, record = open_gallery(library), store(library, WAV)
    first, second = (gallery.of_clip(record, n, RequestTimings())[1] for n in (20, 21))
    assert gallery.of_clip(record, 20, RequestTimings())[1] is first

    gallery.of_clip(record, 22, RequestTimings())

    assert gallery.of_clip(record, 20, RequestTimings())[1] is first
    assert gallery.of_clip(record, 21, RequestTimings())[1] is not second


def test_a_picture_has_the_name_of_the_sound_that_was_drawn(library: Library) -> None:
    gallery, outdated = open_gallery(library), store(library, WAV)
    newest = store(library, synth.encode(synth.noise(0)))

    name, picture = gallery.of_clip(outdated, 20, RequestTimings())

    assert name == name_of(newest, 20)
    assert gallery.of_clip(store(library, WAV), 20, RequestTimings())[1] is not picture


def test_another_sound_under_the_same_id_has_another_name(library: Library) -> None:
    before = name_of(store(library, WAV), 100)

    assert name_of(store(library, synth.encode(synth.noise(0))), 100) != before
    assert name_of(store(library, WAV), 101) != before
    assert name_of(store(library, WAV), 100) == before


def test_the_limits_of_audio_apply_to_pictures(library: Library) -> None:
    with pytest.raises(AudioTooLongError):
        open_gallery(library, max_seconds=1).of_file(io.BytesIO(WAV), 100, RequestTimings())
