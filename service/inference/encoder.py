"""From waveforms to embeddings: any number of clips of any length, in flat memory.

Short clips run in batches of similar length. A long clip runs in pieces, whose partials are pooled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY
from service.bundle.files import Bundle
from service.bundle.manifest import EncoderInfo, ResamplerInfo
from service.clips import Windows
from service.errors import BundleError
from service.inference.chunking import Chunk, Chunker
from service.inference.onnx_session import Device, Session, Tuning, n_cores, open_session
from service.inference.pooling import PooledStats, Windowing, WindowPool
from service.inference.providers import CPU_PROVIDER, bucket

BATCH_S = 40.0
# The graph works on at least this much internally, so shorter clips cost as much [s].
FLOOR_S = 0.95

Kind = Literal["embedding", "partials"]
"""What a run gives of each clip: its embedding [dim], or the sums and maxima [partials dim]."""
OUTPUTS: dict[Kind, tuple[str, ...]] = {"embedding": ("embedding",), "partials": ("sums", "maxima")}


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
        runs: Runs at once that it is made for.
    """

    def __init__(
        self, session: Session, bundle: Bundle, *, narrow: Session | None = None, runs: int = 1
    ) -> None:
        self._session = session
        self._narrow = narrow or session
        self.info = info = bundle.manifest.encoder
        self.dim = info.dim
        self.sample_rate = info.sample_rate_hz
        self.fingerprint = info.fingerprint
        self.mean = bundle.mean
        self.reference_weight = bundle.manifest.difference.reference_weight
        self.provider = session.provider
        self.precision = bundle.precision
        self.runs = runs

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        device: Device = "auto",
        threads: int = 0,
        runs: int = 1,
        tuning: Tuning | None = None,
    ) -> Encoder:
        """Load the encoder of a bundle.

        Args:
            bundle: A verified bundle.
            device: Where to run; see `open_session`.
            threads: Threads of one run; 0 for one per core.
            runs: Runs that share these threads when there is more than one at a time.
            tuning: How to run; the defaults of `Tuning` if not given.

        Raises:
            BundleError: The graph is not the one the bundle's manifest describes.
            DeviceError: A GPU is demanded and missing.
        """
        info = bundle.manifest.encoder
        path = bundle.encoder_file
        session = open_session(path, device=device, threads=threads, tuning=tuning)
        if faults := _resampler_faults(info) + _contract_faults(session, info):
            raise BundleError(f"{path}: {'; '.join(faults)}")
        narrow = None
        if runs > 1 and session.provider == CPU_PROVIDER:
            each = max(1, (threads or n_cores()) // runs)
            narrow = open_session(path, device="cpu", threads=each, tuning=tuning)
        return cls(session, bundle, narrow=narrow, runs=runs if narrow else 1)

    def run(
        self, clips: Sequence[Float32[np.ndarray, " samples"]], kind: Kind, *, alone: bool = True
    ) -> list[tuple[np.ndarray, ...]]:
        """Encode clips in one run, padded to the longest.

        Args:
            clips: Mono waveforms at `sample_rate`, each of at least one sample.
            kind: What to give of each.
            alone: Whether nothing else runs, so that the run may have all threads.

        Returns:
            Of each clip its embedding, or its sums and maxima; partials beyond its end included.
        """
        batch, lengths = self._pad(clips)
        session = self._session if alone else self._narrow
        outputs = session.run({"waveform": batch, "lengths": lengths}, OUTPUTS[kind])
        return list(zip(*outputs, strict=True))

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

        Bounds are whole partials (0.2 s): the length is rounded to them, and a hop that is none
        alternates between the two nearest. The last window is cut at the clip's end.

        Args:
            clip: Mono waveform at `sample_rate`, of at least one sample.
            window_s: Length of a window [s], at least one partial.
            hop_s: From the start of one window to that of the next [s], one partial to `window_s`.

        Raises:
            WindowInvalidError: The window or the hop is out of its range.
            ValueError: The clip is empty or not a float32 vector.
        """
        _check_clip(clip)
        cutter, whole = Chunker(self.info), PooledStats(self.dim)
        windows = WindowPool(self.info, Windowing(window_s, hop_s), max_windows=clip.size)
        for sums, maxima in self._run_pieces(cutter.cut([clip])):
            whole.add(sums, maxima)
            windows.add(sums, maxima)
        n_frames = cutter.n_frames
        return windows.finish(whole.embedding(n_frames), clip.size, n_frames)

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
        short: dict[int, int] = {}
        for row, clip in enumerate(clips):
            cutter = Chunker(self.info)
            first, *others = cutter.cut([clip])
            if first.is_whole:
                short[row] = clip.size
                continue
            pool = PooledStats(self.dim)
            for sums, maxima in self._run_pieces([first, *others]):
                pool.add(sums, maxima)
            embeddings[row] = pool.embedding(cutter.n_frames)
        for rows in _batches(short, self.sample_rate):
            runs = self.run([clips[row] for row in rows], "embedding")
            embeddings[rows] = [embedding for (embedding,) in runs]
        return embeddings

    def _run_pieces(self, pieces: Iterable[Chunk]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the sums and maxima of each piece, without those of its context."""
        for piece in pieces:
            ((sums, maxima),) = self.run([piece.samples], "partials")
            yield sums[piece.valid], maxima[piece.valid]

    def _pad(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.array([clip.size for clip in clips], np.int64)
        longest = int(lengths.max())
        samples = longest if self.provider == CPU_PROVIDER else bucket(longest)
        if len(clips) == 1 and samples == longest:
            return clips[0][None], lengths
        batch = np.zeros((len(clips), samples), np.float32)
        for row, clip in zip(batch, clips, strict=True):
            row[: clip.size] = clip
        return batch, lengths


def _resampler_faults(info: EncoderInfo) -> list[str]:
    if info.resampler == ResamplerInfo(name=RESAMPLER, quality=RESAMPLER_QUALITY):
        return []
    return [
        f"the encoder was trained with resampler {info.resampler.name} {info.resampler.quality},"
        f" this version has {RESAMPLER} {RESAMPLER_QUALITY} only"
    ]


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
    floor, budget = int(FLOOR_S * sample_rate), int(BATCH_S * sample_rate)
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
