from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import synth
from file_windows import embed_windows
from hypothesis import given

from service.bundle.manifest import EncoderInfo
from service.clips import Windows
from service.difference import centred_cosine
from service.errors import WindowInvalidError
from service.inference.encoder import Encoder
from service.inference.pooling import PooledStats, Windowing, WindowPool, count_windows

PARTIAL_S = 0.2
FRAMES = 5


def partials(n_partials: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    sums, maxima = generator.standard_normal((2, n_partials, 8))
    return sums.astype(np.float32), maxima.astype(np.float32)


def pooled(
    info: EncoderInfo, n_samples: int, windowing: Windowing, chunks: list[int]
) -> tuple[Windows, np.ndarray, np.ndarray]:
    """Pool random partials of a clip, chunk by chunk."""
    n_partials = info.count_partials(n_samples)
    sums, maxima = partials(n_partials)
    windows = WindowPool(info, windowing, max_windows=10_000)
    start = 0
    for chunk in [*chunks, n_partials]:
        if start < n_partials and chunk:
            windows.add(sums[start : start + chunk], maxima[start : start + chunk])
            start += chunk
    whole = np.zeros(8, np.float32)
    return windows.finish(whole, n_samples, info.count_frames(n_samples)), sums, maxima


def naive(
    info: EncoderInfo, n_samples: int, window: int, hop: float, sums: np.ndarray, maxima: np.ndarray
) -> list[tuple[int, int, np.ndarray]]:
    """Pool each window separately in float64, by its definition."""
    n_partials, n_frames = info.count_partials(n_samples), info.count_frames(n_samples)
    windows: list[tuple[int, int, np.ndarray]] = []
    while True:
        start = int(len(windows) * hop)
        end = min(start + window, n_partials)
        frames = min(end * FRAMES, n_frames) - start * FRAMES
        mean = sums[start:end].astype(np.float64).sum(axis=0) / frames
        windows.append((start, end, mean + maxima[start:end].max(axis=0)))
        if end == n_partials:
            return windows


@given(
    n_samples=st.integers(1, 400_000),
    window=st.integers(1, 150),
    half_hops=st.integers(2, 300),
    chunks=st.lists(st.integers(1, 60), max_size=8),
)
def test_each_window_follows_its_definition(
    info: EncoderInfo, n_samples: int, window: int, half_hops: int, chunks: list[int]
) -> None:
    hop = min(half_hops / 2, window)
    windowing = Windowing(window * PARTIAL_S, hop * PARTIAL_S)

    found, sums, maxima = pooled(info, n_samples, windowing, chunks)

    expected = naive(info, n_samples, window, hop, sums, maxima)
    np.testing.assert_allclose(found.embeddings, [row for *_, row in expected], atol=1e-5)
    np.testing.assert_allclose(found.starts_s, [start * PARTIAL_S for start, *_ in expected])
    ends_s = [end * PARTIAL_S for _, end, _ in expected[:-1]]
    np.testing.assert_allclose(found.ends_s, [*ends_s, n_samples / 16_000])
    assert count_windows(info.count_partials(n_samples), window, hop) == len(expected)


def test_windows_every_half_second_do_not_drift(info: EncoderInfo) -> None:
    windows, *_ = pooled(info, 16_000 * 60, Windowing(1.0, 0.5), [])

    drift_s = windows.starts_s - 0.5 * np.arange(len(windows.starts_s))
    assert np.abs(drift_s).max() <= 0.1 + 1e-9


def test_an_embedding_is_the_mean_plus_the_maximum_over_all_frames() -> None:
    sums, maxima = partials(30)
    stats = PooledStats(8)
    for start in (0, 7, 29):
        stop = {0: 7, 7: 29, 29: 30}[start]
        stats.add(sums[start:stop], maxima[start:stop])

    expected = sums.astype(np.float64).sum(axis=0) / 148 + maxima.max(axis=0)
    np.testing.assert_allclose(stats.embedding(148), expected, rtol=1e-6)


def test_the_number_of_open_windows_is_bounded(info: EncoderInfo) -> None:
    windows = WindowPool(info, Windowing(3600.0, 0.2), max_windows=20)
    for seed in range(10):
        windows.add(*partials(50, seed))

    assert len(windows._open) == 20


@pytest.mark.parametrize(
    ("window_s", "hop_s"),
    [(0.1, 0.1), (1, 0.1), (1, 2), (1, 0), (1, -1), (np.inf, 1), (np.nan, 1), (1, np.nan)],
)
def test_a_window_or_hop_out_of_range_is_refused(
    info: EncoderInfo, window_s: float, hop_s: float
) -> None:
    with pytest.raises(WindowInvalidError, match=r"at least 0\.2 s"):
        WindowPool(info, Windowing(window_s, hop_s), max_windows=1)


class TestWindowsOfFiles:
    """The windows of a file that is decoded, split into chunks and encoded."""

    def test_one_window_over_the_clip_has_its_embedding(self, encoder: Encoder) -> None:
        clip = synth.chirp(100, 5000, 3.3)
        windows = embed_windows(encoder, clip, window_s=60, hop_s=60)
        assert_close(windows.embeddings, encoder.embed([clip]))
        assert_close(windows.whole[None], encoder.embed([clip]))
        assert windows.starts_s.tolist() == [0]
        assert windows.ends_s.tolist() == [pytest.approx(3.3)]

    def test_windows_cover_the_clip_from_start_to_end(self, encoder: Encoder) -> None:
        windows = embed_windows(encoder, synth.noise(0, 5.3), window_s=2, hop_s=1)
        assert windows.starts_s == pytest.approx([0, 1, 2, 3, 4])
        assert windows.ends_s == pytest.approx([2, 3, 4, 5, 5.3])
        assert windows.embeddings.shape == (5, 8)
        assert windows.embeddings.dtype == np.float32

    def test_bounds_are_whole_partials(self, encoder: Encoder) -> None:
        windows = embed_windows(encoder, synth.noise(0, 2), window_s=0.51, hop_s=0.29)
        assert windows.starts_s[:4] == pytest.approx([0, 0.2, 0.6, 0.8])
        assert windows.ends_s[:4] == pytest.approx([0.6, 0.8, 1.2, 1.4])

    def test_a_window_is_near_the_sound_in_it(self, encoder: Encoder) -> None:
        low, high = synth.tone(200, 4), synth.tone(3000, 4)
        windows = embed_windows(encoder, np.concatenate([low, high]), window_s=1, hop_s=1)
        sounds = encoder.embed([low[:16_000], high[:16_000]])
        nearest = [
            int(np.argmax([centred_cosine(window, sound, encoder.mean) for sound in sounds]))
            for window in windows.embeddings
        ]
        assert nearest == [0] * 4 + [1] * 4

    @pytest.mark.parametrize("duration_s", [0.5, 14.9, 15.1, 65])
    def test_windows_of_one_partial_equal_those_of_a_run_over_the_whole_clip(
        self, encoder: Encoder, duration_s: float
    ) -> None:
        clip = synth.noise(0, duration_s) + synth.chirp(50, 7000, duration_s)
        windows = embed_windows(encoder, clip, window_s=0.2, hop_s=0.2)
        ((sums, maxima),) = encoder.run([clip], "partials")
        n_frames = np.full(len(sums), 5)
        n_frames[-1] = encoder.info.count_frames(clip.size) - 5 * (len(sums) - 1)
        assert_close(windows.embeddings, sums / n_frames[:, None] + maxima)

    @pytest.mark.parametrize("n_samples", [1, 480, 3199, 3200, 3679, 3680, 6400, 16_001])
    def test_short_clips_have_windows(self, encoder: Encoder, n_samples: int) -> None:
        duration_s = n_samples / 16_000
        windows = embed_windows(encoder, synth.noise(0, duration_s), window_s=0.2, hop_s=0.2)
        assert np.isfinite(windows.embeddings).all()
        assert windows.ends_s[-1] == duration_s
        assert (windows.starts_s < windows.ends_s).all()

    @pytest.mark.parametrize(
        ("window_s", "hop_s"),
        [(1, 2), (1, 0.1), (0.1, 0.1), (1, 0), (1, -1), (np.nan, 1), (1, np.nan), (np.inf, 1)],
    )
    def test_windows_out_of_range_are_refused(
        self, encoder: Encoder, window_s: float, hop_s: float
    ) -> None:
        with pytest.raises(WindowInvalidError, match=r"at least 0\.2 s and at most window_s"):
            embed_windows(encoder, synth.tone(440), window_s=window_s, hop_s=hop_s)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
