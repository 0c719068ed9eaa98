"""Decoding in child processes: a file that crashes a decoder ends that process, not the service.

Here, and in the modules that this one uses, a decoder is one of these processes.
"""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import BinaryIO, cast

import numpy as np

from service.audio.decoder import Blocks, decode_whole
from service.audio.decoder_child import ChildEndedError, DecoderChild, deadline_in
from service.audio.decoder_process import SILENT_WAV
from service.audio.decoder_protocol import Reply
from service.audio.decoding import AudioLimits, decode
from service.audio.errors import AudioError, AudioUndecodableError
from service.audio.fork_server import ANSWER_S, ForkServer, ForkServerError, ForkServerLostError
from service.audio.library_messages import MAX_MESSAGES, log_messages
from service.concurrency.deadline import Deadline
from service.errors import InternalError, OverloadError, ServiceError

_LOGGER = logging.getLogger(__name__)

MAX_FILES = 200
"""Files after which a decoder is replaced, so that what a library leaks does not add up."""
CHECK_RATE_HZ = 16_000
"""Rate to which the file of the check is resampled [Hz]."""
MAX_USED_S = 30.0
"""Processor time after which a decoder gets no other file [s]."""


class DecoderPool:
    """Decodes files in confined child processes, for several threads at once; see `Decoder`.

    A file has a decoder of its own until it is decoded to its end, so there are as many decoders as
    files that are open. Up to `decoders` of them are kept for the next files. A decoder is replaced
    after a file that it could not decode, and ended when the deadline of its request passes.

    The server that forks decoders starts in the background; `wait_ready` waits for it.

    Args:
        decoders: Decoders that are kept.
        deadline_s: Longest deadline of a request; a file may use as much processor time [s].
        on_death: Called after a decoder has ended while it decoded a file.

    Raises:
        ForkServerError: No process can be started.
    """

    def __init__(
        self, decoders: int, *, deadline_s: float, on_death: Callable[[], object] = lambda: None
    ) -> None:
        self._n_kept = decoders
        self._cpu_s = int(MAX_USED_S + deadline_s) + 1
        self._on_death = on_death
        self._lock = Lock()
        self._replacing = Lock()
        self._idle: list[DecoderChild] = []
        self._is_closed = False
        self._server = ForkServer()

    def wait_ready(self) -> bool:
        """Wait until decoders can be started, and start those that are kept.

        Returns:
            Whether their system calls are filtered.

        Raises:
            ForkServerError: They cannot be started; the pool is closed then.
        """
        try:
            self._server.wait_ready()
            self._idle = [DecoderChild(self._server, self._cpu_s) for _ in range(self._n_kept)]
            is_filtered = all(child.is_filtered for child in self._idle)
            self._check()
        except ForkServerError:
            self.close()
            raise
        return is_filtered

    def _check(self) -> None:
        """Decode a known file, in memory and by its descriptor.

        Raises:
            ForkServerError: A decoder cannot work under its limits here.
        """
        expected = decode(io.BytesIO(SILENT_WAV), sample_rate=CHECK_RATE_HZ).samples
        with open(os.memfd_create("check"), "w+b") as file:  # noqa: PTH123 - a descriptor
            file.write(SILENT_WAV)
            for source in (io.BytesIO(SILENT_WAV), cast(BinaryIO, file)):
                try:
                    samples, _ = decode_whole(
                        self,
                        source,
                        sample_rate=CHECK_RATE_HZ,
                        limits=AudioLimits(),
                        deadline=deadline_in(ANSWER_S),
                    )
                except (ServiceError, OSError) as error:
                    raise ForkServerError(f"a decoder does not work here: {error}") from error
                if not np.array_equal(samples, expected):
                    raise ForkServerError("a decoder gives other samples of a known file here")

    def close(self) -> None:
        """End all decoders; no file is being decoded and none will be."""
        self._is_closed = True
        self._end_idle()
        self._server.close()

    def __call__(
        self, source: BinaryIO, *, sample_rate: int, limits: AudioLimits, deadline: Deadline
    ) -> Blocks:
        """Decode a file; see `Decoder`.

        Raises:
            OverloadError: The system allows no more processes.
        """
        child, reply, samples = self._begin(source, sample_rate, limits, deadline)
        samples_left = limits.max_samples
        try:
            while not reply.is_last:
                samples_left -= samples.size
                if samples_left < 0:
                    raise ChildEndedError  # a decoder stops at the limit itself
                yield samples
                child.ask_next()
                reply, samples = child.receive(deadline)
        except ChildEndedError as error:
            raise self._find_cause(child) from error
        except BaseException:  # the deadline, or a consumer that needs no more
            self._end(child)
            raise
        self._take_back(child, reply)
        if reply.source is None:
            raise _error_of(reply)
        yield samples
        return reply.source

    def _begin(
        self, source: BinaryIO, sample_rate: int, limits: AudioLimits, deadline: Deadline
    ) -> tuple[DecoderChild, Reply, np.ndarray]:
        """Give a file to a decoder and wait for its first answer, again if the server ended."""
        is_retry = False
        while True:
            child = self._give(source, sample_rate, limits)
            try:
                return child, *child.receive(deadline)
            except ChildEndedError as error:
                fault = self._find_cause(child)
                if is_retry or not isinstance(fault, OverloadError):
                    raise fault from error
                is_retry = True
            except BaseException:
                self._end(child)
                raise

    def _give(self, source: BinaryIO, sample_rate: int, limits: AudioLimits) -> DecoderChild:
        """Give a file to a decoder that is kept, or to a new one."""
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            child = child or self._fork()
            if child.give(source, sample_rate, limits):
                return child
            self._end(child)

    def _fork(self) -> DecoderChild:
        """Start a decoder; if the server has ended, start that first."""
        server = self._server
        try:
            try:
                return DecoderChild(server, self._cpu_s)
            except ForkServerLostError:
                self._replace(server)
                return DecoderChild(self._server, self._cpu_s)
        except (ForkServerError, OSError) as error:
            _LOGGER.exception("no decoder can be started")
            raise OverloadError("no process for decoding can be started; try again soon") from error

    def _replace(self, lost: ForkServer) -> None:
        """Start another server, unless another thread has done so or the pool is closed."""
        with self._replacing:
            if self._server is lost and not self._is_closed:
                lost.close()
                self._server = ForkServer()
                self._server.wait_ready()

    def _take_back(self, child: DecoderChild, reply: Reply) -> None:
        """Keep a decoder for another file, or end it."""
        log_messages(child.read_messages())
        is_used_up = child.n_files >= MAX_FILES or child.used_s >= MAX_USED_S
        with self._lock:
            is_needed = len(self._idle) < self._n_kept and not self._is_closed
            if is_needed and not is_used_up and reply.source is not None:
                self._idle.append(child)
                return
        self._end(child)

    def _find_cause(self, child: DecoderChild) -> ServiceError:
        """Return the error of a file whose decoder ended; an `OverloadError` if with the server."""
        messages = child.read_messages()
        try:
            status = os.waitstatus_to_exitcode(child.end())
        except ForkServerError:
            self._end_idle()  # with the server, the others end too
            return OverloadError("the processes for decoding are started again; try again soon")
        self._on_death()
        cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        _LOGGER.warning(
            "a decoder ended while it decoded a file",
            extra={"cause": cause, "decoder_messages": messages[:MAX_MESSAGES]},
        )
        return AudioUndecodableError(
            f"decoding this file ended its process ({cause}): the file is damaged, or needs more "
            "memory or time than is allowed"
        )

    def _end_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            self._end(child)

    def _end(self, child: DecoderChild) -> None:
        with suppress(ForkServerError):  # then it has ended with the server
            child.end()


def _error_of(reply: Reply) -> ServiceError:
    """Return the error that decoding raised in the other process."""
    if reply.failure:
        return InternalError(f"decoding failed unexpectedly: {reply.failure}")
    kinds = {kind.code: kind for kind in AudioError.__subclasses__()}
    return kinds.get(reply.error, AudioUndecodableError)(reply.detail)
