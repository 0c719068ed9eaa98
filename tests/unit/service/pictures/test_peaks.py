from __future__ import annotations

import itertools

import numpy as np
import pytest
import synth

from service.pictures.peaks import column_edges, outline


@pytest.mark.parametrize("n_samples", [1, 2, 99, 100, 101, 12_345])
@pytest.mark.parametrize("columns", [1, 16, 100])
def test_columns_cover_every_sample_once(n_samples: int, columns: int) -> None:
    edges = column_edges(n_samples, columns)

    assert (edges[0], edges[-1]) == (0, n_samples)
    assert np.diff(edges).min() >= 1
    assert len(edges) == 1 + min(columns, n_samples)


def test_an_outline_holds_the_extremes_of_each_column() -> None:
    samples = synth.noise(0, 0.5)
    edges = column_edges(samples.size, 37)

    minima, maxima = outline(samples, 37)

    parts = [samples[start:end] for start, end in itertools.pairwise(edges)]
    assert minima.tolist() == [part.min() for part in parts]
    assert maxima.tolist() == [part.max() for part in parts]


def test_one_click_in_a_long_silence_is_seen() -> None:
    samples = synth.silence(60)
    samples[500_000] = -0.7

    minima, maxima = outline(samples, 480)

    assert minima.min() == np.float32(-0.7)
    assert maxima.max() == 0
