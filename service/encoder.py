"""From waveforms to embeddings: any number of clips of any length, in flat memory.

Short clips run in batches of similar length. A long clip runs in chunks; each chunk hears a
little of its neighbours, so that pooling the chunks gives what one run would have given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from service.bundle import Bundle
from service.errors import BundleError, WindowInvalidError
from service.gpu import CPU_PROVIDER, bucket
from service.manifest import EncoderInfo
from service.runtime import Device, Session, open_session

CHUNK_S = 30.0
BATCH_S = 40.0
# The graph works on at least this much internally, so shorter clips cost as much [s].
_FLOOR_S = 0.95


@dataclass(frozen=True, slots=True)
class Windows:
    """A clip's embeddings over time.

    Attributes:
        whole: Embedding of the whole clip, float32 [dim].
        embeddings: One per window, float32 [windows dim].
        starts_s: Where each window starts, float64 [windows] [s].
        ends_s: Where each window ends, float64 [windows] [s]; the last is the clip's end.
    """

    whole: np.ndarray
    embeddings: np.ndarray
    starts_s: np.ndarray
    ends_s: np.ndarray


@dataclass(frozen=True, slots=True)
class _Partials:
    """Consecutive partials: sum and maximum [partials dim] over the frames of each."""

    sums: np.ndarray
    maxima: np.ndarray


class Encoder:
    """An opened encoder; safe to use from several threads.

    Attributes:
        dim: Length of an embedding.
        sample_rate: Rate of the waveforms it takes [Hz].
        fingerprint: Identity of its embeddings.
        mean: Mean embedding of the training clips, float32 [dim].
        reference_weight: How much of a reference search by difference takes away.
        provider: Execution provider it runs on.
        precision: Arithmetic it runs in.
    """

    def __init__(self, session: Session, bundle: Bundle) -> None:
        self._session = session
        self._info = info = bundle.manifest.encoder
        self._partial_samples = info.partial_frames * info.block_samples
        self._chunk_partials = int(CHUNK_S * info.sample_rate_hz) // self._partial_samples
        self.dim = info.dim
        self.sample_rate = info.sample_rate_hz
        self.fingerprint = info.fingerprint
        self.mean = bundle.mean
        self.reference_weight = bundle.manifest.difference.reference_weight
        self.provider = session.provider
        self.precision = bundle.precision

    @classmethod
    def open(cls, bundle: Bundle, *, device: Device = "auto", threads: int = 0) -> Encoder:
        """Load the encoder of a bundle.

        Args:
            bundle: A verified bundle.
            device: Where to run; see `open_session`.
            threads: Threads of one run; 0 for one per physical core.

        Raises:
            BundleError: The graph is not the one the bundle's manifest describes.
            DeviceError: A GPU is demanded and missing.
        """
        info = bundle.manifest.encoder
        session = open_session(bundle.encoder_file, device=device, threads=threads)
        if faults := _contract_faults(session, info):
            raise BundleError(f"{bundle.encoder_file}: {'; '.join(faults)}")
        return cls(session, bundle)

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Encode clips of any lengths; equal clips of one call get equal bits.

        Args:
            clips: Mono waveforms at `sample_rate`, each of at least one sample.

        Raises:
            ValueError: A clip is empty or not a float32 vector.
        """
        for clip in clips:
            _check_clip(clip)
        digests = [hashlib.sha256(np.ascontiguousarray(clip).data).digest() for clip in clips]
        unique = dict(zip(digests, clips, strict=True))
        embeddings = dict(zip(unique, self._embed_unique(list(unique.values())), strict=True))
        if not clips:
            return np.zeros((0, self.dim), np.float32)
        return np.stack([embeddings[digest] for digest in digests])

    def embed_windows(
        self, clip: Float32[np.ndarray, " samples"], *, window_s: float, hop_s: float
    ) -> Windows:
        """Embed a clip window by window, all pooled from one pass over the whole clip.

        Bounds are rounded to partials (0.2 s); the last window is cut at the clip's end.

        Args:
            clip: Mono waveform at `sample_rate`, of at least one sample.
            window_s: Length of a window [s], at least one partial.
            hop_s: From the start of one window to that of the next [s], one partial to `window_s`.

        Raises:
            WindowInvalidError: The window or the hop is out of its range.
            ValueError: The clip is empty or not a float32 vector.
        """
        _check_clip(clip)
        partial_s = self._partial_samples / self.sample_rate
        if not partial_s <= hop_s <= window_s < np.inf:
            raise WindowInvalidError(
                f"window_s is {window_s:g} and hop_s is {hop_s:g}; hop_s must be at least "
                f"{partial_s:g} s and at most window_s"
            )
        runs = list(self._run_partials(clip))
        partials = _Partials(
            np.concatenate([run.sums for run in runs]),
            np.concatenate([run.maxima for run in runs]),
        )
        n_partials, n_frames = len(partials.sums), self._n_frames(clip.size)
        window = min(round(window_s / partial_s), n_partials)
        hop = min(round(hop_s / partial_s), n_partials)
        # The first window that reaches the end is the last one.
        starts = np.arange(0, n_partials - window + hop, hop)
        ends = np.minimum(starts + window, n_partials)
        per_partial = self._info.partial_frames
        counts = np.minimum(ends * per_partial, n_frames) - starts * per_partial
        bounds = [(0, n_partials, n_frames), *zip(starts, ends, counts, strict=True)]
        whole, *embeddings = (
            partials.sums[start:end].sum(axis=0) / count + partials.maxima[start:end].max(axis=0)
            for start, end, count in bounds
        )
        ends_s = ends * partial_s
        ends_s[-1] = clip.size / self.sample_rate
        return Windows(
            whole.astype(np.float32),
            np.stack(embeddings).astype(np.float32),
            starts * partial_s,
            ends_s,
        )

    def check(self, bundle: Bundle) -> None:
        """Encode the bundle's stored clip and compare with its stored embedding.

        Raises:
            BundleError: The answer is another one, or the stored one cannot be read.
        """
        known = bundle.manifest.known_answer
        path = bundle.file(known.file)
        try:
            with np.load(path, allow_pickle=False) as stored:
                waveform, expected = stored["waveform"], stored["embedding"]
            deviation = np.abs(self.embed([waveform])[0] - expected).max()
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{path} holds no known answer: {error}") from error
        relative = float(deviation / np.abs(expected).max())
        if not relative <= bundle.tolerance:
            raise BundleError(
                f"the answer of {bundle.encoder_file.name} to the clip in {path} deviates by "
                f"{relative:.2g} of its largest value; {bundle.tolerance:g} is allowed"
            )

    def _embed_unique(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        embeddings = np.zeros((len(clips), self.dim), np.float32)
        chunk_samples = self._chunk_partials * self._partial_samples
        short: dict[int, int] = {}
        for row, clip in enumerate(clips):
            if clip.size <= chunk_samples:
                short[row] = clip.size
            else:
                embeddings[row] = self._embed_long(clip)
        for rows in _batches(short, self.sample_rate):
            batch, lengths = self._pad([clips[row] for row in rows])
            inputs = {"waveform": batch, "lengths": lengths}
            (embeddings[rows],) = self._session.run(inputs, ["embedding"])
        return embeddings

    def _embed_long(self, clip: Float32[np.ndarray, " samples"]) -> Float64[np.ndarray, " dim"]:
        total = np.zeros(self.dim)
        peak = np.full(self.dim, -np.inf)
        for partials in self._run_partials(clip):
            total += partials.sums.sum(axis=0, dtype=np.float64)
            peak = np.maximum(peak, partials.maxima.max(axis=0))
        pooled: np.ndarray = total / self._n_frames(clip.size) + peak
        return pooled

    def _run_partials(self, clip: Float32[np.ndarray, " samples"]) -> Iterator[_Partials]:
        """Yield the partials of a clip in order, a chunk of them at a time."""
        n_partials = -(-self._n_frames(clip.size) // self._info.partial_frames)
        for first in range(0, n_partials, self._chunk_partials):
            last = min(first + self._chunk_partials, n_partials)
            # One partial of context on either side is more than a frame depends on.
            start = max(first - 1, 0)
            stop = clip.size if last == n_partials else (last + 1) * self._partial_samples
            batch, lengths = self._pad([clip[start * self._partial_samples : stop]])
            sums, maxima = self._session.run(
                {"waveform": batch, "lengths": lengths}, ["sums", "maxima"]
            )
            kept = slice(first - start, last - start)
            yield _Partials(sums[0, kept], maxima[0, kept])

    def _pad(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.array([clip.size for clip in clips], np.int64)
        longest = int(lengths.max())
        samples = longest if self.provider == CPU_PROVIDER else bucket(longest)
        batch = np.zeros((len(clips), samples), np.float32)
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.size] = clip
        return batch, lengths

    def _n_frames(self, n_samples: int) -> int:
        """Count the encoder frames of a clip; its halvings round down."""
        quarter = self._info.block_samples // 4
        return (1 + max(n_samples, self._info.min_samples) // quarter) // 4


def _contract_faults(session: Session, info: EncoderInfo) -> list[str]:
    expected = {
        "input waveform": (session.inputs.get("waveform"), "float32", 2, None),
        "input lengths": (session.inputs.get("lengths"), "int64", 1, None),
        "output embedding": (session.outputs.get("embedding"), "float32", 2, info.dim),
        "output sums": (session.outputs.get("sums"), "float32", 3, info.dim),
        "output maxima": (session.outputs.get("maxima"), "float32", 3, info.dim),
    }
    faults = []
    for name, (spec, dtype, rank, last) in expected.items():
        if spec is None:
            faults.append(f"{name} is missing")
        elif spec[0] != dtype or len(spec[1]) != rank or last not in (None, spec[1][-1]):
            axes = f", the last {last}" if last else ""
            faults.append(f"{name} is {spec[0]} {spec[1]}, must be {dtype} of {rank} axes{axes}")
    return faults


def _check_clip(clip: Float32[np.ndarray, " samples"]) -> None:
    if clip.ndim != 1 or clip.dtype != np.float32 or clip.size == 0:
        raise ValueError(
            f"a clip is a float32 vector of at least one sample, not {clip.dtype} {clip.shape}"
        )


def _batches(sizes: dict[int, int], sample_rate: int) -> Iterator[list[int]]:
    """Group rows of similar size so that a padded batch stays within `BATCH_S` of audio."""
    floor, budget = int(_FLOOR_S * sample_rate), int(BATCH_S * sample_rate)
    batch: list[int] = []
    longest = 0
    for row in sorted(sizes, key=lambda row: -sizes[row]):
        size = max(sizes[row], floor)
        # More than half of padding costs more than a run of its own.
        if batch and ((len(batch) + 1) * longest > budget or 2 * size < longest):
            yield batch
            batch = []
        longest = longest if batch else size
        batch.append(row)
    if batch:
        yield batch
