"""The reading of bodies that `test_forms` does not see through the endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio

from service.api.bodies import SPOOL_BYTES, spool


async def chunks(n_bytes: int) -> AsyncIterator[bytes]:
    for start in range(0, n_bytes, 65_536):
        yield b"x" * min(65_536, n_bytes - start)


def test_a_spooled_body_is_open_at_its_start_and_closed_with_the_stack() -> None:
    with ExitStack() as opened:
        small = anyio.run(spool, chunks(10), opened)
        large = anyio.run(spool, chunks(SPOOL_BYTES + 1), opened)

        assert small.read() == b"x" * 10
        assert len(large.read()) == SPOOL_BYTES + 1

    assert small.closed
    assert large.closed
