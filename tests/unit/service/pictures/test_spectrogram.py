from __future__ import annotations

import itertools

import numpy as np
import pytest
import synth

from service.pictures.spectrogram import FLOOR_DB, LOWEST_HZ, ROWS, column_edges, draw, outline


def row_of(frequency_hz: float, sample_rate: int = 16_000) -> int:
    """Return the row, from the top, in which a frequency lies."""
    octaves = np.log2(frequency_hz / LOWEST_HZ) / np.log2(sample_rate / 2 / LOWEST_HZ)
    return ROWS - 1 - int(octaves * ROWS)


@pytest.mark.parametrize("frequency_hz", [440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_is_brightest_in_its_row(frequency_hz: float) -> None:
    shades = draw(synth.tone(frequency_hz), sample_rate=16_000, columns=50)

    assert abs(int(shades[:, 25].argmax()) - row_of(frequency_hz)) <= 1


def test_a_sine_of_full_scale_is_0_db_and_a_tenth_of_it_20_db_less() -> None:
    # The frequency is the centre of a bin, so that no level is lost between two bins.
    whole, tenth = (
        draw(synth.tone(1000, amplitude=amplitude), sample_rate=16_000, columns=20)
        for amplitude in (1.0, 0.1)
    )

    assert whole.max() == 255
    fewer_db = (int(whole.max()) - int(tenth.max())) * -FLOOR_DB / 255
    assert fewer_db == pytest.approx(20, abs=0.5)


def test_silence_is_black() -> None:
    assert draw(synth.silence(), sample_rate=16_000, columns=100).max() == 0


@pytest.mark.parametrize("n_samples", [1, 15, 1023, 5000])
def test_short_clips_have_a_picture(n_samples: int) -> None:
    shades = draw(synth.noise(0)[:n_samples], sample_rate=16_000, columns=480)

    assert shades.shape == (ROWS, min(480, n_samples))
    assert shades.dtype == np.uint8


@pytest.mark.parametrize("at", [0, 160_001, 777_777, 959_999])
def test_a_click_anywhere_in_a_long_clip_is_visible_in_its_column(at: int) -> None:
    samples = synth.silence(60)
    samples[at] = 1.0

    loudness = draw(samples, sample_rate=16_000, columns=100).max(axis=0)

    lit = np.flatnonzero(loudness)
    assert lit.size > 0
    assert abs(lit - at * 100 // samples.size).max() <= 1


def test_time_goes_from_left_to_right() -> None:
    shades = draw(synth.chirp(200, 7000, 2.0), sample_rate=16_000, columns=60)

    rows = shades[:, 5:-5].argmax(axis=0)
    assert rows[0] > rows[len(rows) // 2] > rows[-1]


@pytest.mark.parametrize("n_samples", [1, 2, 99, 100, 101, 12_345])
@pytest.mark.parametrize("columns", [1, 16, 100])
def test_columns_cover_every_sample_once(n_samples: int, columns: int) -> None:
    edges = column_edges(n_samples, columns)

    assert (edges[0], edges[-1]) == (0, n_samples)
    assert np.diff(edges).min() >= 1
    assert len(edges) == 1 + min(columns, n_samples)


def test_an_outline_has_the_extremes_of_each_column() -> None:
    samples = synth.noise(0, 0.5)
    edges = column_edges(samples.size, 37)

    minima, maxima = outline(samples, 37)

    parts = [samples[start:end] for start, end in itertools.pairwise(edges)]
    assert minima.tolist() == [part.min() for part in parts]
    assert maxima.tolist() == [part.max() for part in parts]
