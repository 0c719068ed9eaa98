"""Embeddings of files: the chunks that are being encoded, and their pooled result.

`PendingChunks` holds the chunks of one request that were submitted to the encoder. A
`FileEmbedding` receives the results of one file and pools them to `Embedded`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
from jaxtyping import Float32

from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo, Windows
from service.concurrency.timings import RequestTimings
from service.inference.batcher import EncodeRequest, Submitter
from service.inference.chunking import Chunk, DecodedFile, Output, Result
from service.inference.pooling import PooledStats, Windowing, WindowPool

ENTRY_BYTES = 1024
"""Estimated size of an embedded file without its arrays [bytes]."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file that was decoded and embedded.

    Attributes:
        info: Format of the source.
        n_samples: Length after resampling.
        samples_digest: SHA-256 of the samples after resampling; empty if it was not computed.
        mean_square: Mean square of the samples after mixing down and resampling.
        embedding: Raw embedding [dim].
        windows: Embeddings of the windows, if they were asked for.
    """

    info: AudioInfo
    n_samples: int
    samples_digest: bytes
    mean_square: float
    embedding: Float32[np.ndarray, " dim"]
    windows: Windows | None = None

    @property
    def size_bytes(self) -> int:
        """Estimated size in memory [bytes]."""
        windows = 0 if self.windows is None else self.windows.embeddings.nbytes
        return ENTRY_BYTES + self.embedding.nbytes + windows


class FileEmbedding:
    """Embedding of a file whose chunks are being encoded.

    Args:
        info: Geometry of the encoder.
        windowing: How to cut the clip into windows; it is not cut if None.
        max_windows: Most windows of the clip.

    Raises:
        WindowInvalidError: The window or the hop is out of range.
    """

    def __init__(
        self, info: EncoderInfo, windowing: Windowing | None = None, *, max_windows: int = 0
    ) -> None:
        self._info = info
        self._windowing = windowing
        self._stats: PooledStats | None = None
        self._windows: WindowPool | None = None
        if windowing is not None:
            self._windows = WindowPool(info, windowing, max_windows=max_windows)
        self._whole = np.zeros(0, np.float32)

    def output(self, chunk: Chunk) -> Output:
        """Return the kind of result that the encoder computes for a chunk."""
        is_single = chunk.is_whole and not self._has_windows(chunk.samples.size)
        return "embedding" if is_single else "partials"

    def set_result(self, chunk: Chunk, result: Result) -> None:
        """Add the result of the next chunk."""
        if len(result) == 1:
            self._whole = result[0].copy()  # a view would keep the whole batch in memory
            return
        sums, maxima = (partials[chunk.valid] for partials in result)
        self._stats = self._stats or PooledStats(self._info.dim)
        self._stats.add(sums, maxima)
        if self._windows is not None:
            self._windows.add(sums, maxima)

    def pool(self, file: DecodedFile) -> Embedded:
        """Return the embedded file; the results of all its chunks were added."""
        whole, windows = self._whole, None
        if self._stats is not None:
            n_frames = self._info.count_frames(file.n_samples)
            whole = self._stats.embedding(n_frames)
            if self._windows is not None and self._has_windows(file.n_samples):
                windows = self._windows.finish(whole, file.n_samples, n_frames)
        return Embedded(
            info=file.info,
            n_samples=file.n_samples,
            samples_digest=file.samples_digest,
            mean_square=file.mean_square,
            embedding=whole,
            windows=windows,
        )

    def _has_windows(self, n_samples: int) -> bool:
        return self._windowing is not None and self._windowing.cuts(n_samples, self._info)


class PendingChunks:
    """The chunks of one request that are being encoded: a bounded queue of futures.

    Leaving the context cancels what is still pending.

    Args:
        submitter: Encodes the chunks.
        timings: Receives the time spent waiting; its deadline ends the waiting.
        max_samples: Most samples that are pending; two chunks may be pending in any case.
    """

    def __init__(self, submitter: Submitter, timings: RequestTimings, max_samples: int) -> None:
        self._submitter = submitter
        self._timings = timings
        self._max_samples = max_samples
        self._pending: deque[tuple[EncodeRequest, float, Callable[[Result], object]]] = deque()
        self._n_samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for request, _, _ in self._pending:
            request.future.cancel()

    def submit(self, chunk: Chunk, embedding: FileEmbedding) -> None:
        """Submit a chunk once there is room for it.

        Args:
            chunk: The next chunk of a file.
            embedding: Receives the result.

        Raises:
            ClientDisconnectedError: The client left.
            DeadlineError: The deadline passed.
        """
        samples = chunk.samples
        while len(self._pending) > 1 and self._n_samples + samples.size > self._max_samples:
            self.wait_oldest()
        output, deadline = embedding.output(chunk), self._timings.deadline
        request = self._submitter.submit(samples, output, deadline)
        accepted = time.perf_counter()
        self._pending.append((request, accepted, partial(embedding.set_result, chunk)))
        self._n_samples += samples.size

    def drain(self) -> None:
        """Wait for all results; raises as `submit` does."""
        while self._pending:
            self.wait_oldest()

    def wait_oldest(self) -> None:
        """Wait for the oldest result; raises as `submit` does."""
        request, accepted, on_result = self._pending.popleft()
        self._n_samples -= request.samples.size
        start = time.perf_counter()
        try:
            result = request.future.result(self._timings.deadline.left_s)
        except TimeoutError:
            request.future.cancel()
            raise self._timings.deadline.error() from None
        # This thread waited while the chunk was submitted, and again for its result.
        queued_s = encoded_s = 0.0
        for begin, end in ((request.submitted, accepted), (start, time.perf_counter())):
            until_run_s = min(max(0.0, request.started - begin), end - begin)
            queued_s += until_run_s
            encoded_s += end - begin - until_run_s
        self._timings.add("queue", queued_s)
        self._timings.add("encode", encoded_s)
        on_result(result)


def pool_files(
    known: Mapping[str, Embedded],
    decoded: Mapping[str, DecodedFile],
    embeddings: Mapping[str, FileEmbedding],
) -> dict[str, Embedded]:
    """Pool the files of a request; files with equal samples get the embedding of the first.

    Args:
        known: Files that were embedded before, by content.
        decoded: The other files, by content.
        embeddings: Embeddings of these; those of later files with equal samples are not used.
    """
    by_samples: dict[bytes, Embedded] = {}
    for embedded in known.values():
        by_samples.setdefault(embedded.samples_digest, embedded)
    for key, file in decoded.items():
        if file.samples_digest not in by_samples:
            by_samples[file.samples_digest] = embeddings[key].pool(file)
    files: dict[str, Embedded | DecodedFile] = {**known, **decoded}
    return {
        key: replace(by_samples[file.samples_digest], info=file.info) for key, file in files.items()
    }
