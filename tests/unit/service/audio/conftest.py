"""A pool of decoders for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pool_control import Deaths

from service.audio.decoder_pool import DecoderPool


@pytest.fixture(scope="module")
def deaths() -> Deaths:
    """Counts the decoders of `pool` that ended while they decoded."""
    return Deaths()


@pytest.fixture(scope="module")
def pool(deaths: Deaths) -> Iterator[DecoderPool]:
    """Decoders in processes."""
    pool = DecoderPool(2, deadline_s=60, on_death=deaths)
    pool.wait_ready()
    yield pool
    pool.close()
