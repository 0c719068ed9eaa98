from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from service.pictures.png import to_png


@pytest.mark.parametrize("shape", [(1, 1), (96, 480), (3, 2048)])
def test_another_decoder_reads_every_pixel(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    decoded = imread(io.BytesIO(to_png(pixels)), format="png")

    assert np.array_equal(np.round(decoded * 255), pixels)
