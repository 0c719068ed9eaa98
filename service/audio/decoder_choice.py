"""Choice of where the service decodes: in confined child processes, or in its own threads."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from service.audio.decoder import Decoder, decode_blocks
from service.audio.fork_server import ForkServerError
from service.errors import SettingsError

if TYPE_CHECKING:
    from service.audio.decoder_pool import DecoderPool

_LOGGER = logging.getLogger(__name__)

DecodeMode = Literal["auto", "process", "thread"]


class DecoderChoice:
    """Starts the processes, if there are to be any, in the background; `choose` waits for them.

    Args:
        mode: `process` fails where there can be none, `auto` falls back to `thread`.
        decoders: Files that are decoded at once.
        deadline_s: Longest deadline of a request [s].
        on_death: Called after a process has ended while it decoded a file.

    Raises:
        SettingsError: Child processes are required and not possible here.
    """

    def __init__(
        self,
        mode: DecodeMode,
        decoders: int,
        *,
        deadline_s: float,
        on_death: Callable[[], object] = lambda: None,
    ) -> None:
        self._mode = mode
        self._pool: DecoderPool | None = None
        if mode == "thread":
            return
        if sys.platform != "linux":
            self._give_up("they need Linux")
            return
        from service.audio.decoder_pool import DecoderPool

        try:
            self._pool = DecoderPool(decoders, deadline_s=deadline_s, on_death=on_death)
        except ForkServerError as error:
            self._give_up(str(error))

    def choose(self) -> Decoder:
        """Return the decoder, which is ready, and log which one it is.

        Raises:
            SettingsError: Child processes are required and not possible here.
        """
        if self._pool is not None:
            try:
                is_filtered = self._pool.wait_ready()
            except ForkServerError as error:
                self._pool = None
                self._give_up(str(error))
            else:
                fields = {"decode": "process", "seccomp": is_filtered}
                _LOGGER.info("files are decoded in child processes", extra=fields)
                return self._pool
        _LOGGER.info("files are decoded in threads of the service", extra={"decode": "thread"})
        return decode_blocks

    def close(self) -> None:
        """End the processes; no file is being decoded and none will be."""
        if self._pool is not None:
            self._pool.close()

    def _give_up(self, reason: str) -> None:
        if self._mode == "process":
            raise SettingsError(
                f"MINUEND_DECODE=process: decoding in child processes is not possible: {reason};"
                " use auto or thread"
            )
        _LOGGER.warning("decoding in child processes is not possible: %s", reason)
