from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
from file_windows import embed_windows
from shell import opened, write_tones
from tiny_library import execute, make_stored

from service.audio.decoding import AudioLimits
from service.bundle.files import Bundle, load_bundle
from service.catalog.reembed_queue import QueuedClip
from service.clips import AudioInfo, NewClip, ReferencedAudio
from service.errors import FingerprintMismatchError
from service.inference.embedding_space import items, make_space
from service.inference.encoder import Encoder
from service.inference.pooling import Windowing
from service.library.file_reader import FileReader
from service.library.folder_import import FolderImporter
from service.library.library import Library
from service.library.reembed import Reembedder, ReembedReport

LIMITS = AudioLimits(max_seconds=60, max_samples=10**7)
N_CLIPS = 100  # more than a page
ROUNDING = 1e-3  # of the samples of a file, and of half precision


@dataclass
class Setup:
    """A library of an old bundle, a new bundle, and helpers to embed by either."""

    library: Path
    sounds: Path
    old: Bundle
    new: Bundle

    @contextmanager
    def open(self, bundle: Bundle, *, reembedding: bool = False) -> Iterator[Library]:
        space = make_space(bundle, None)
        library = Library.open(self.library, space=space, reembedding=reembedding)
        try:
            yield library
        finally:
            library.close()

    def embed(self, bundle: Bundle, samples: np.ndarray) -> np.ndarray:
        """Return an embedding as the library keeps it."""
        encoder = Encoder.open(bundle, device="cpu", threads=1)
        return encoder.embed([samples])[0].astype(np.float16).astype(np.float32)

    def reembed(self, library: Library, **options: object) -> ReembedReport:
        with reader(self.new) as files:
            return Reembedder(library, files).run(**options)

    def new_clip(self, name: str, samples: np.ndarray) -> NewClip:
        """Return a clip of the old encoder, read in place."""
        path = synth.write(self.sounds / f"{name}.wav", samples)
        with reader(self.old) as files:
            (hashed,) = files.hash([path])
        audio = ReferencedAudio(path, hashed.sha256, hashed.size_bytes)
        return NewClip(id=name, embedding=self.embed(self.old, samples), audio=audio)


def reader(bundle: Bundle, windowing: Windowing | None = None) -> FileReader:
    encoder = Encoder.open(bundle, device="cpu", threads=1)
    return FileReader(encoder, limits=LIMITS, windowing=windowing)


@pytest.fixture(scope="module")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(tiny_bundle.write(tmp_path_factory.mktemp("bundles") / "new", seed=1))


@pytest.fixture(scope="module")
def indexed(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Audio files, and a library of the old bundle that reads them in place."""
    root = tmp_path_factory.mktemp("reembed")
    files = write_tones(root / "sounds", N_CLIPS, duration_s=0.1)
    old = load_bundle(tiny_bundle_path)
    library = Library.open(root / "library", space=make_space(old, None))
    with reader(old) as read:
        FolderImporter(root / "sounds", library, read).run(files)
    library.close()
    return root / "sounds", root / "library"


@pytest.fixture
def setup(
    tmp_path: Path, tiny_bundle_path: Path, new_bundle: Bundle, indexed: tuple[Path, Path]
) -> Setup:
    sounds, library = indexed
    shutil.copytree(library, tmp_path / "library")
    return Setup(tmp_path / "library", sounds, load_bundle(tiny_bundle_path), new_bundle)


def everything(library: Library, bundle: Bundle) -> list[tuple[str, float]]:
    query = items(library.space, bundle.mean[np.newaxis] + 1)[0]
    return [(hit.record.id, hit.score) for hit in library.search(query, 1000)]


def test_all_clips_get_the_new_encoders_embeddings(setup: Setup) -> None:
    with setup.open(setup.new, reembedding=True) as library:
        report = setup.reembed(library)

    assert (report.embedded, report.unchanged, report.failed) == (N_CLIPS, 0, [])
    with setup.open(setup.new) as library:
        records, _ = library.page(limit=1000)
        for n in (0, 17, 99):
            expected = setup.embed(setup.new, synth.tone(100 + 23 * n, 0.1))
            np.testing.assert_allclose(
                library.catalog.embedding(records[n].id), expected, atol=ROUNDING
            )
        assert len(everything(library, setup.new)) == N_CLIPS


def test_embedding_again_changes_nothing(setup: Setup) -> None:
    with setup.open(setup.new, reembedding=True) as library:
        setup.reembed(library)
        revision = library.catalog.revision()

        report = setup.reembed(library)

        assert (report.embedded, report.unchanged) == (0, N_CLIPS)
        assert library.catalog.revision() == revision


def test_searches_by_the_old_encoder_do_not_change(setup: Setup) -> None:
    with setup.open(setup.old) as reading, setup.open(setup.new, reembedding=True) as library:
        before = everything(reading, setup.old)
        seen = []

        setup.reembed(library, on_clip=lambda: seen.append(everything(reading, setup.old)))

        assert len(seen) == N_CLIPS
        assert all(found == before for found in seen)
        assert len(everything(library, setup.new)) == N_CLIPS
    with setup.open(setup.old) as reading:
        assert everything(reading, setup.old) == before


def test_clips_that_the_old_service_puts_meanwhile_are_embedded(setup: Setup) -> None:
    samples = [synth.chirp(100, 5000, 0.2), synth.noise(5, 0.2), synth.noise(6, 0.2)]
    with setup.open(setup.old) as writing, setup.open(setup.new, reembedding=True) as library:
        records, _ = writing.page(limit=1000)
        replaced, deleted = records[2].id, records[90].id
        changes = iter(range(10**6))

        def interfere() -> None:
            match next(changes):
                case 0:
                    writing.writer.put(setup.new_clip("fresh", samples[0]))
                case 3:
                    writing.writer.put(setup.new_clip(replaced, samples[1]))
                    writing.writer.delete(deleted)
                case 80:
                    writing.writer.put(setup.new_clip(replaced, samples[2]))

        report = setup.reembed(library, on_clip=interfere)

        assert report.failed == []
        assert library.reembed_queue.n_lacking() == 0
        for name, sound in [("fresh", samples[0]), (replaced, samples[2])]:
            expected = setup.embed(setup.new, sound)
            np.testing.assert_allclose(library.catalog.embedding(name), expected, atol=ROUNDING)
        for side, bundle in ((library, setup.new), (writing, setup.old)):
            assert len(everything(side, bundle)) == N_CLIPS


def test_an_upload_of_the_same_bytes_does_not_keep_a_clip_from_being_embedded(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = synth.encode(synth.noise(5))
    audio = make_stored(content)
    stored = NewClip(id="stored", embedding=setup.embed(setup.old, synth.noise(5)), audio=audio)
    with setup.open(setup.old) as library:
        library.writer.put(stored)
    with setup.open(setup.old) as writing, setup.open(setup.new, reembedding=True) as library:
        checked = Reembedder._checked

        def upload_again(self: Reembedder, clip: QueuedClip, *read: Any) -> object:
            if clip.id == "stored":
                writing.writer.put(replace(stored, id="twin"))
            return checked(self, clip, *read)

        monkeypatch.setattr(Reembedder, "_checked", upload_again)
        report = setup.reembed(library)

        assert report.failed == []
        assert library.reembed_queue.n_lacking() == 0


def test_clips_that_cannot_be_embedded_are_reported_and_stay(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    with setup.open(setup.old) as library:
        vector = setup.embed(setup.old, synth.noise(1))
        library.writer.put(NewClip(id="vector", embedding=vector))
        for name in ("gone", "changed", "back"):
            library.writer.put(setup.new_clip(name, synth.noise(len(name), 0.2)))
    (setup.sounds / "gone.wav").unlink()
    back = (setup.sounds / "back.wav").rename(setup.sounds / "elsewhere.wav")
    (setup.sounds / "changed.wav").write_bytes(b"words, not waves")

    with setup.open(setup.new, reembedding=True) as library:
        report = setup.reembed(library)

    assert report.embedded == N_CLIPS
    assert {(clip.clip_id, clip.code) for clip in report.failed} == {
        ("vector", "clip_audio_missing"),
        ("gone", "clip_audio_missing"),
        ("back", "clip_audio_missing"),
        ("changed", "file_changed"),
    }
    with caplog.at_level(logging.WARNING), setup.open(setup.new) as library:
        assert "4 clips" in caplog.text
        assert library.catalog.count() == N_CLIPS + 4
        assert len(everything(library, setup.new)) == N_CLIPS
        with pytest.raises(FingerprintMismatchError):
            library.catalog.embedding("vector")

    back.rename(setup.sounds / "back.wav")
    with setup.open(setup.new, reembedding=True) as library:
        report = setup.reembed(library)
        assert (report.embedded, len(report.failed)) == (1, 3)
        assert len(everything(library, setup.new)) == N_CLIPS + 1
    with setup.open(setup.old) as library:
        assert len(everything(library, setup.old)) == N_CLIPS + 4


def test_a_failed_clip_is_imported_again_from_its_new_folder(setup: Setup) -> None:
    with setup.open(setup.old) as library:
        clip = setup.new_clip("any", synth.noise(3, 0.2))
        assert clip.audio is not None
        name = clip.audio.sha256[:32]
        library.writer.put(
            NewClip(id=name, embedding=clip.embedding, audio=clip.audio, metadata={"n": 1})
        )
    (setup.sounds / "any.wav").rename(setup.library.parent / "moved.wav")
    with setup.open(setup.new, reembedding=True) as library:
        assert len(setup.reembed(library).failed) == 1

        with reader(setup.new) as files:
            importer = FolderImporter(setup.library.parent, library, files)
            assert importer.run([setup.library.parent / "moved.wav"]).added == 1

        assert library.catalog.get(name).metadata == {"n": 1, "name": "moved.wav", "folder": "."}
        assert library.reembed_queue.n_lacking() == 0


def test_a_library_is_indexed_again_when_only_the_towers_changed(tmp_path: Path) -> None:
    bundles = [tiny_bundle.write(tmp_path / str(seed), towers=seed) for seed in range(2)]
    space = make_space(load_bundle(bundles[0]), None)
    Library.open(tmp_path / "library", space=space).close()
    with opened(tmp_path / "library", bundles[0]) as library:
        rng = np.random.default_rng(0)
        library.writer.put_many(
            [NewClip(id=f"c{n}", embedding=rng.gamma(1, 2, 8).astype("f4")) for n in range(20)]
        )
        library.index.save()

    with opened(tmp_path / "library", bundles[1]) as library:
        assert library.reembed_queue.n_lacking() == 0
        for n in range(20):
            (vector,) = items(library.space, library.catalog.embedding(f"c{n}")[np.newaxis])
            (hit,) = library.search(vector, 1)
            assert (hit.record.id, hit.score) == (f"c{n}", pytest.approx(1, abs=1e-5))


def test_long_clips_without_windows_get_windows_by_the_same_encoder(setup: Setup) -> None:
    """As in a library that was made with longer windows."""
    windowing = Windowing(2.0, 1.0, beyond_s=2.0)
    sounds = {"long": synth.noise(1, 5.0), "gone": synth.noise(2, 5.0), "short": synth.noise(3)}
    with setup.open(setup.old) as library:
        for name, sound in sounds.items():
            clip = setup.new_clip(name, sound)
            info = AudioInfo("audio/wav", sound.size / 16_000, 16_000, 1)
            library.writer.put(replace(clip, info=info))
        library.writer.put(NewClip(id="vector", embedding=library.catalog.embedding("long")))
        found = everything(library, setup.old)
    (setup.sounds / "gone.wav").unlink()

    with setup.open(setup.old, reembedding=True) as library, reader(setup.old, windowing) as files:
        report = Reembedder(library, files).run()
        again = Reembedder(library, files).run()
        assert (report.embedded, report.unchanged) == (1, N_CLIPS + 2)
        assert [clip.clip_id for clip in report.failed] == ["gone"]
        assert (again.embedded, again.failed) == (0, report.failed)
        encoder = Encoder.open(setup.old, device="cpu", threads=1)
        expected = embed_windows(encoder, sounds["long"], window_s=2.0, hop_s=1.0)
        windows = library.catalog.windows("long")
        assert windows is not None
        np.testing.assert_allclose(windows.embeddings, expected.embeddings, rtol=ROUNDING)
        np.testing.assert_array_equal(windows.ends_s, expected.ends_s)
    with setup.open(setup.old) as library:
        assert len(everything(library, setup.old)) == len(found)
        assert library.index.n_vectors() == len(found) + 4


def test_a_new_encoder_makes_windows_and_those_of_the_old_one_can_be_dropped(setup: Setup) -> None:
    windowing = Windowing(2.0, 1.0, beyond_s=2.0)
    with reader(setup.old, windowing) as files, setup.open(setup.old) as library:
        synth.write(setup.sounds / "long.wav", synth.noise(1, 5.0))
        FolderImporter(setup.sounds, library, files).run([setup.sounds / "long.wav"])
        assert library.index.n_vectors() == N_CLIPS + 5

    with setup.open(setup.new, reembedding=True) as library, reader(setup.new, windowing) as files:
        assert Reembedder(library, files).run().embedded == N_CLIPS + 1
        assert library.index.n_vectors() == N_CLIPS + 5
        assert library.reembed_queue.drop_others() == N_CLIPS + 1
    with setup.open(setup.new) as library:
        assert library.index.n_vectors() == N_CLIPS + 5
    kept = execute(setup.library, "SELECT fingerprint, count(*) FROM windows GROUP BY 1")
    assert kept == [(setup.new.manifest.encoder.fingerprint, 4)]


def test_damaged_embeddings_are_computed_again_from_intact_audio(setup: Setup) -> None:
    with setup.open(setup.old) as library:
        names = [record.id for record in library.page(limit=3)[0]]
        library.writer.put(setup.new_clip("changed", synth.noise(3, 0.2)))
        library.writer.put(NewClip(id="vector", embedding=np.ones(8, np.float32)))
        expected = [library.catalog.embedding(name) for name in names]
    (setup.sounds / "changed.wav").write_bytes(b"words, not waves")
    ids = ", ".join(f"'{name}'" for name in (*names, "changed", "vector"))
    where = f"seq IN (SELECT seq FROM clips WHERE id IN ({ids}))"
    execute(setup.library, f"UPDATE vectors SET embedding = x'00' WHERE {where}")

    with setup.open(setup.old) as library, reader(setup.old) as files:
        before = everything(library, setup.old)
        assert library.catalog.count_damaged()["vector"] == 5
        reembedder = Reembedder(library, files)
        assert reembedder.n_due() == 5
        report = reembedder.run()
        assert (report.embedded, report.unchanged) == (3, N_CLIPS - 3)
        failed = {(clip.clip_id, clip.code) for clip in report.failed}
        assert failed == {("changed", "file_changed"), ("vector", "clip_audio_missing")}
        for name, embedding in zip(names, expected, strict=True):
            np.testing.assert_allclose(library.catalog.embedding(name), embedding, atol=ROUNDING)
        after = everything(library, setup.old)
        assert {name for name, _ in after} - {name for name, _ in before} == set(names)
        assert library.catalog.count_damaged()["vector"] == 2
    (setup.sounds / "changed.wav").unlink()


def test_damaged_windows_are_computed_again(setup: Setup) -> None:
    windowing = Windowing(1.0, 0.5, beyond_s=1.0)
    with setup.open(setup.old) as library, reader(setup.old, windowing) as files:
        clip = setup.new_clip("long", synth.noise(5, 3.0))
        library.writer.put(replace(clip, info=AudioInfo(duration_s=3.0)))
        assert Reembedder(library, files).run().embedded == 1
        windows = library.catalog.windows("long")
        assert windows is not None
        execute(setup.library, "UPDATE windows SET embedding = x'00' WHERE number = 2")
        assert Reembedder(library, files).run().embedded == 1
        again = library.catalog.windows("long")
        assert again is not None
        np.testing.assert_allclose(again.embeddings, windows.embeddings, atol=ROUNDING)
    (setup.sounds / "long.wav").unlink()
