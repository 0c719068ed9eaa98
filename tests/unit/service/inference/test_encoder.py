from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import synth
import tiny_bundle
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.errors import BundleError
from service.inference.chunking import CHUNK_S
from service.inference.encoder import BATCH_S, Encoder
from service.inference.onnx_session import Session, open_session
from service.inference.providers import CUDA_PROVIDER, padded_length

# Rounding of another order of additions, relative to the largest value of the embedding.
TOLERANCE = 1e-5
PARTIAL = 3200


class CountingSession(Session):
    """Runs the graph and records the shapes of the batches."""

    def __init__(self, session: Session) -> None:
        self.__dict__.update(session.__dict__)
        self.batches: list[tuple[int, ...]] = []

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        self.batches.append(inputs["waveform"].shape)
        return super().run(inputs, outputs)


@pytest.fixture
def session(bundle: Bundle) -> CountingSession:
    path = bundle.file(bundle.manifest.encoder.file)
    return CountingSession(open_session(path, device="cpu", threads=1))


def _whole(session: Session, clip: np.ndarray, output: str = "embedding") -> np.ndarray:
    """Run the graph once over a whole clip."""
    inputs = {"waveform": clip[None], "lengths": np.array([clip.size])}
    values: np.ndarray = session.run(inputs, [output])[0][0]
    return values


def _assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


class TestOpening:
    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            ("waveform", "audio", "input waveform is missing"),
            ("lengths", "sizes", "input lengths is missing"),
            ("sums", "totals", "output sums is missing"),
        ],
    )
    def test_a_graph_with_other_names_is_refused(
        self, bundle: Bundle, tmp_path: Path, old: str, new: str, fault: str
    ) -> None:
        model = onnx.load(bundle.file("encoder.onnx"))
        tiny_bundle.rename(model, old, new)
        onnx.save(model, tmp_path / "encoder.onnx")
        with pytest.raises(BundleError, match=fault):
            Encoder.open(dataclasses.replace(bundle, path=tmp_path), device="cpu")

    def test_a_graph_of_another_dim_is_refused(self, bundle: Bundle, tmp_path: Path) -> None:
        tiny_bundle.write(tmp_path, dim=12)
        with pytest.raises(BundleError, match=r"output embedding .* must be float32 \[any, 8\]"):
            Encoder.open(dataclasses.replace(bundle, path=tmp_path), device="cpu")

    @pytest.mark.parametrize("change", [{"name": "sinc"}, {"quality": "QQ"}])
    def test_another_resampler_than_that_of_training_is_refused(
        self, bundle: Bundle, change: dict[str, str]
    ) -> None:
        info = bundle.manifest.encoder
        info = info.model_copy(update={"resampler": info.resampler.model_copy(update=change)})
        manifest = bundle.manifest.model_copy(update={"encoder": info})
        trained = " ".join([info.resampler.name, info.resampler.quality])
        with pytest.raises(BundleError, match=f"with resampler {trained}, .* has soxr HQ only"):
            Encoder.open(dataclasses.replace(bundle, manifest=manifest), device="cpu")


class TestEmbed:
    def test_it_is_the_output_of_the_graph(
        self, encoder: Encoder, session: CountingSession
    ) -> None:
        clip = synth.chirp(100, 5000, 2.5)
        assert np.array_equal(encoder.embed([clip])[0], _whole(session, clip))

    def test_no_clips_make_no_embeddings(self, encoder: Encoder) -> None:
        assert encoder.embed([]).shape == (0, 8)

    def test_order_is_kept_whatever_the_lengths(self, encoder: Encoder) -> None:
        clips = [synth.noise(seed, duration) for seed, duration in enumerate([3, 0.1, 31, 7, 1e-4])]
        together = encoder.embed(clips)
        for clip, embedding in zip(clips, together, strict=True):
            _assert_close(embedding, encoder.embed([clip])[0])

    def test_equal_clips_get_equal_bits_and_are_encoded_once(
        self, bundle: Bundle, session: CountingSession
    ) -> None:
        a, b = synth.noise(0, 1.3), synth.noise(1, 5)
        embeddings = Encoder(session, bundle).embed([a, b, a.copy(), b, a])
        assert sum(rows for rows, _ in session.batches) == 2
        assert np.array_equal(embeddings[[0, 0, 1]], embeddings[[2, 4, 3]])

    def test_batches_stay_within_their_budget_and_pad_little(
        self, bundle: Bundle, session: CountingSession
    ) -> None:
        durations = [0.001] * 100 + [2.0, 14.0, 3.0, 9.0, 10.0, 15.0, 12.0]
        clips = [synth.noise(seed, duration) for seed, duration in enumerate(durations)]
        Encoder(session, bundle).embed(clips)
        cost = [rows * max(samples, 15_200) for rows, samples in session.batches]
        assert max(cost) <= BATCH_S * 16_000
        assert sum(cost) <= 2 * sum(max(clip.size, 15_200) for clip in clips)
        assert len(session.batches) < 15

    def test_batches_have_padded_lengths_on_a_gpu_and_give_the_same(
        self, encoder: Encoder, bundle: Bundle, session: CountingSession
    ) -> None:
        session.provider = CUDA_PROVIDER
        clips = [synth.noise(seed, duration) for seed, duration in enumerate((0.3, 2.03, 33.0))]
        found = Encoder(session, bundle).embed(clips)
        np.testing.assert_allclose(found, encoder.embed(clips), rtol=1e-5, atol=1e-5)
        assert all(padded_length(samples) == samples for _, samples in session.batches)

    @pytest.mark.parametrize(
        "clip",
        [
            np.zeros(0, np.float32),
            np.zeros((2, 100), np.float32),
            np.zeros(100, np.float64),
            np.zeros(100, np.int16),
        ],
    )
    def test_arrays_that_are_no_clips_are_refused(self, encoder: Encoder, clip: np.ndarray) -> None:
        with pytest.raises(ValueError, match="float32 vector of at least one sample"):
            encoder.embed([synth.tone(440), clip])

    def test_samples_beyond_the_length_do_not_matter(self, session: CountingSession) -> None:
        """Padding relies on this property of the graph."""
        clip = synth.noise(0, 1.01)
        batch = np.full((2, 40_000), np.nan, np.float32)
        batch[0, : clip.size] = clip
        batch[1] = synth.noise(1, 2.5)
        lengths = np.array([clip.size, 40_000])
        found = session.run({"waveform": batch, "lengths": lengths}, ["embedding"])[0]
        _assert_close(found[0], _whole(session, clip))


class TestLongClips:
    @pytest.mark.parametrize(
        "n_samples",
        [
            240_000,
            240_001,
            240_480,
            240_000 + PARTIAL,
            240_000 + PARTIAL + 700,
            480_000 - 1,
            480_000 + 480,
            777_777,
        ],
    )
    def test_chunks_give_what_one_run_gives(
        self, encoder: Encoder, session: CountingSession, n_samples: int
    ) -> None:
        clip = synth.noise(0, n_samples / 16_000) + synth.chirp(50, 7000, n_samples / 16_000)
        _assert_close(encoder.embed([clip])[0], _whole(session, clip))

    def test_no_run_is_longer_than_a_chunk_with_its_context(
        self, bundle: Bundle, session: CountingSession
    ) -> None:
        Encoder(session, bundle).embed([synth.noise(0, 100)])
        assert len(session.batches) == 7
        longest = max(samples for _, samples in session.batches)
        assert longest <= CHUNK_S * 16_000 + 2 * PARTIAL


class TestCheck:
    def _store(self, path: Path, **arrays: Float32[np.ndarray, " values"]) -> None:
        np.savez(path / tiny_bundle.KNOWN_ANSWER_FILE, allow_pickle=False, **arrays)

    def test_the_known_answer_is_reproduced(self, encoder: Encoder, bundle: Bundle) -> None:
        encoder.check(bundle)

    def test_another_embedding_is_refused(
        self, encoder: Encoder, bundle: Bundle, tmp_path: Path
    ) -> None:
        clip = synth.tone(440)
        embedding = encoder.embed([clip])[0]
        embedding[3] += 0.01 * embedding.max()
        self._store(tmp_path, waveform=clip, embedding=embedding)
        with pytest.raises(
            BundleError, match=r"deviates by 0\.0099 of its largest value; 0\.0001 is"
        ):
            encoder.check(dataclasses.replace(bundle, path=tmp_path))

    @pytest.mark.parametrize(
        "sizes", [{"waveform": 8}, {"embedding": 8}, {}, {"waveform": 16_000, "embedding": 5}]
    )
    def test_a_file_without_a_known_answer_of_this_dim_is_refused(
        self, encoder: Encoder, bundle: Bundle, tmp_path: Path, sizes: dict[str, int]
    ) -> None:
        self._store(tmp_path, **{name: np.ones(n, np.float32) for name, n in sizes.items()})
        with pytest.raises(BundleError, match="holds no known answer"):
            encoder.check(dataclasses.replace(bundle, path=tmp_path))


class TestRunning:
    def test_a_run_returns_the_result_of_each_clip(self, encoder: Encoder) -> None:
        clips = [synth.noise(seed, 1 + seed) for seed in range(3)]
        for clip, (embedding,) in zip(clips, encoder.run(clips, "embedding"), strict=True):
            _assert_close(embedding, encoder.embed([clip])[0])
        for clip, (sums, maxima) in zip(clips, encoder.run(clips, "partials"), strict=True):
            n_partials = encoder.info.count_partials(clip.size)
            assert len(sums) == len(maxima) == n_partials  # without those of the padding
            mean = sums.sum(axis=0) / encoder.info.count_frames(clip.size)
            _assert_close(mean + maxima.max(axis=0), encoder.embed([clip])[0])

    def test_a_run_with_a_share_of_the_threads_gives_the_same_embedding(
        self, bundle: Bundle
    ) -> None:
        encoder = Encoder.open(bundle, device="cpu", threads=2, runs=2)
        clip = synth.chirp(100, 5000, 2.5)
        (with_all,), (with_share,) = (
            encoder.run([clip], "embedding", all_threads=all_threads)[0]
            for all_threads in (True, False)
        )
        assert encoder.runs == 2
        _assert_close(with_share, with_all)
