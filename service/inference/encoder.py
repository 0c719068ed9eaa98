"""Encoder of a bundle: embeds any number of clips of any length, in bounded memory.

Short clips run in batches of similar length. A long clip runs in chunks whose partials are pooled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY
from service.bundle.files import Bundle
from service.bundle.manifest import EncoderInfo, ResamplerInfo
from service.errors import BundleError
from service.inference.chunking import Chunk, Chunker, Output, Result
from service.inference.onnx_session import Device, Session, Tuning, n_cores, open_session
from service.inference.pooling import PooledStats
from service.inference.providers import CPU_PROVIDER, padded_length

BATCH_S = 40.0
"""Audio of one run of `Encoder.embed`, padding included [s]."""

_OUTPUTS: dict[Output, tuple[str, ...]] = {
    "embedding": ("embedding",),
    "partials": ("sums", "maxima"),
}


class Encoder:
    """An open encoder, for several threads at once.

    Attributes:
        info: Geometry of the encoder.
        dim: Length of an embedding.
        sample_rate: Sample rate of the waveforms [Hz].
        fingerprint: Identity of the embeddings.
        mean: Mean embedding of the training clips, float32 [dim].
        reference_weight: Share of a reference that a search by difference subtracts, 0 to 1.
        provider: Execution provider on which the encoder runs.
        precision: Arithmetic of the graph.
        runs: Runs at once for which the encoder was opened.

    Args:
        session: Runs the graph with all threads.
        bundle: Bundle of the graph.
        shared_session: Runs the graph with the threads of one of `runs` simultaneous runs;
            `session` if None.
        runs: Runs at once.
    """

    def __init__(
        self,
        session: Session,
        bundle: Bundle,
        *,
        shared_session: Session | None = None,
        runs: int = 1,
    ) -> None:
        self._session = session
        self._shared_session = shared_session or session
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
            threads: Threads of a run; 0 for one per core.
            runs: Runs at once, on a CPU; each then has its share of the threads.
            tuning: How to run; the defaults of `Tuning` if None.

        Raises:
            BundleError: The graph differs from its description in the manifest.
            DeviceError: A GPU is required and missing.
        """
        info = bundle.manifest.encoder
        path = bundle.encoder_file
        session = open_session(path, device=device, threads=threads, tuning=tuning)
        vectors, partials = ("float32", (None, info.dim)), ("float32", (None, None, info.dim))
        faults = _resampler_faults(info) + session.faults(
            {"waveform": ("float32", (None, None)), "lengths": ("int64", (None,))},
            {"embedding": vectors, "sums": partials, "maxima": partials},
        )
        if faults:
            raise BundleError(f"{path}: {'; '.join(faults)}")
        if runs == 1 or session.provider != CPU_PROVIDER:
            return cls(session, bundle)
        share = max(1, (threads or n_cores()) // runs)
        shared_session = open_session(path, device="cpu", threads=share, tuning=tuning)
        return cls(session, bundle, shared_session=shared_session, runs=runs)

    def run(
        self,
        clips: Sequence[Float32[np.ndarray, " samples"]],
        output: Output,
        *,
        all_threads: bool = True,
    ) -> list[Result]:
        """Encode clips in one run, padded to the longest.

        Args:
            clips: Mono waveforms at `sample_rate`, each of at least one sample.
            output: What to compute for each clip.
            all_threads: Whether to use all threads; otherwise those of one of `runs` runs at once.

        """
        batch, lengths = self._pad(clips)
        session = self._session if all_threads else self._shared_session
        arrays = session.run({"waveform": batch, "lengths": lengths}, _OUTPUTS[output])
        results: list[Result] = list(zip(*arrays, strict=True))
        if output == "partials":  # without those of the padding
            n_partials = [self.info.count_partials(clip.size) for clip in clips]
            results = [
                tuple(partials[:n] for partials in result)
                for result, n in zip(results, n_partials, strict=True)
            ]
        return results

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

    def check(self, bundle: Bundle) -> None:
        """Encode the stored clip of the bundle and compare with its stored embedding.

        Raises:
            BundleError: The embeddings differ, or the stored ones cannot be read.
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
            first, *others = Chunker(self.info).split([clip])
            if first.is_whole:
                short[row] = clip.size
            else:
                embeddings[row] = self._embed_chunks([first, *others], clip.size)
        for rows in _batches(short, self.info):
            results = self.run([clips[row] for row in rows], "embedding")
            embeddings[rows] = [embedding for (embedding,) in results]
        return embeddings

    def _embed_chunks(self, chunks: Sequence[Chunk], n_samples: int) -> Float32[np.ndarray, " dim"]:
        stats = PooledStats(self.dim)
        for chunk in chunks:
            ((sums, maxima),) = self.run([chunk.samples], "partials")
            stats.add(sums[chunk.valid], maxima[chunk.valid])
        return stats.embedding(self.info.count_frames(n_samples))

    def _pad(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.array([clip.size for clip in clips], np.int64)
        longest = int(lengths.max())
        samples = longest if self.provider == CPU_PROVIDER else padded_length(longest)
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


def _check_clip(clip: Float32[np.ndarray, " samples"]) -> None:
    if clip.ndim != 1 or clip.dtype != np.float32 or clip.size == 0:
        raise ValueError(
            f"a clip is a float32 vector of at least one sample, not {clip.dtype} {clip.shape}"
        )


def _batches(sizes: Mapping[int, int], info: EncoderInfo) -> Iterator[list[int]]:
    """Group rows of similar size, so that a padded batch has at most `BATCH_S` of audio.

    Args:
        sizes: Samples of each row.
        info: Geometry of the encoder; a clip costs at least `floor_samples`.
    """
    budget = int(BATCH_S * info.sample_rate_hz)
    batch: list[int] = []
    longest = 0
    for row in sorted(sizes, key=lambda row: -sizes[row]):
        size = max(sizes[row], info.floor_samples)
        # A batch that is more than half padding costs more than a separate run.
        if batch and ((len(batch) + 1) * longest > budget or 2 * size < longest):
            yield batch
            batch = []
        longest = longest if batch else size
        batch.append(row)
    if batch:
        yield batch
