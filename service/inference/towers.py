"""The towers of a bundle: project embeddings of sounds, and texts, into one common space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.bundle.manifest import TowersInfo
from service.errors import BundleError
from service.inference.novelty import Novelty, NoveltyDetector
from service.inference.onnx_session import Device, Session, open_session
from service.inference.phrases import TextBank
from service.inference.tokenizer import Tokenizer
from service.inference.understanding import TAGS, UnderstoodSound, read_sounds

ROWS = 16
"""Embeddings in one run of the audio tower."""
CACHED_TEXTS = 256
UNKNOWN_TOLERANCE = 0.01
"""Largest deviation of the probability that the known text is unknown."""


class AudioTower:
    """Projects raw embeddings into the common space; for several threads at once.

    Args:
        session: Graph of the audio tower.
        info: Description of the towers.
        difference: Graph of a trained difference: `mixture`, `reference`, `weight` -> `vector`.

    Attributes:
        fingerprint: Identity of the towers.
        dim: Length of a vector.
        provider: Execution provider on which it runs.
        has_difference: Whether the bundle has a trained difference.
    """

    def __init__(
        self, session: Session, info: TowersInfo, difference: Session | None = None
    ) -> None:
        self._session, self._difference = session, difference
        self.has_difference = difference is not None
        self.fingerprint = info.fingerprint
        self.dim = info.dim
        self.provider = session.provider

    @classmethod
    def open(cls, bundle: Bundle, info: TowersInfo, *, device: Device, threads: int) -> AudioTower:
        """Load the audio tower of a bundle, see `Towers.open`."""
        path = bundle.file(info.audio_tower)
        session = open_session(path, device=device, threads=threads)
        embeddings = ("float32", (None, bundle.manifest.encoder.dim))
        vectors = ("float32", (None, info.dim))
        if faults := session.faults({"embedding": embeddings}, {"vector": vectors}):
            raise BundleError(f"{path}: {'; '.join(faults)}")
        if info.difference is None:
            return cls(session, info)
        path = bundle.file(info.difference)
        difference = open_session(path, device=device, threads=threads)
        inputs = dict.fromkeys(("mixture", "reference"), embeddings)
        inputs["weight"] = ("float32", (None, 1))
        if faults := difference.faults(inputs, {"vector": vectors}):
            raise BundleError(f"{path}: {'; '.join(faults)}")
        return cls(session, info, difference)

    def difference(
        self,
        mixture: Float32[np.ndarray, " embedding_dim"],
        reference: Float32[np.ndarray, " embedding_dim"],
        weight: float,
    ) -> Float32[np.ndarray, " dim"]:
        """Return the vector of a mixture without a reference, by a trained difference.

        Args:
            mixture: Raw embedding.
            reference: Raw embedding.
            weight: Weight of the reference, 0 to 1.
        """
        assert self._difference is not None
        inputs = {
            "mixture": mixture[np.newaxis].astype(np.float32),
            "reference": reference[np.newaxis].astype(np.float32),
            "weight": np.full((1, 1), weight, np.float32),
        }
        (vectors,) = self._difference.run(inputs, ["vector"])
        vector: np.ndarray = vectors[0]
        return vector

    def vectors(
        self, embeddings: Float32[np.ndarray, "clips embedding_dim"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Return the vector of each raw embedding, not normalised.

        The bits of a vector do not depend on the other rows. The last bits of a product may depend
        on its number of rows, so each run has `ROWS` rows.
        """
        vectors = np.empty((len(embeddings), self.dim), np.float32)
        for start in range(0, len(embeddings), ROWS):
            rows = embeddings[start : start + ROWS]
            run = np.zeros((ROWS, embeddings.shape[1]), np.float32)
            run[: len(rows)] = rows
            (projected,) = self._session.run({"embedding": run}, ["vector"])
            vectors[start : start + ROWS] = projected[: len(rows)]
        return vectors


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text in the common space.

    Attributes:
        vector: Vector in the common space, not normalised, float32 [dim].
        is_cut: Whether the text was longer than the window.
        sounds: The sounds that it names, with their changes; empty for a bundle that cannot tell.
        novelty: Whether it is a text that the towers know; None for a bundle that cannot tell.
    """

    vector: Float32[np.ndarray, " dim"]
    is_cut: bool
    sounds: tuple[UnderstoodSound, ...] = ()
    novelty: Novelty | None = None


class TextEncoder:
    """Projects texts into the common space; for several threads at once.

    Attributes:
        max_tokens: Most tokens of a text, special tokens included.
        understands: Whether it tells the sounds of a text and unknown texts.

    Args:
        session: The graph.
        tokenizer: Its tokeniser.
        max_tokens: Its window.
        detector: Tells unknown texts; None for a graph without tags.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: Tokenizer,
        max_tokens: int,
        detector: NoveltyDetector | None = None,
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._detector = detector
        self.max_tokens = max_tokens
        self.understands = detector is not None
        self.encode = lru_cache(CACHED_TEXTS)(self._encode)

    @classmethod
    def open(cls, bundle: Bundle, info: TowersInfo, *, device: Device, threads: int) -> TextEncoder:
        """Load the text encoder of a bundle, see `Towers.open`."""
        path = bundle.file(info.text_encoder)
        session = open_session(path, device=device, threads=threads)
        tokens, vectors = ("int64", (None, None)), ("float32", (None, info.dim))
        inputs = {"input_ids": tokens, "attention_mask": tokens}
        outputs: dict[str, tuple[str, tuple[int | None, ...]]] = {"vector": vectors}
        detector = None
        if info.understanding is not None:
            if info.understanding.tags != TAGS:
                raise BundleError(f"{path} has other tags than this version of the service reads")
            detector = NoveltyDetector.read(bundle.file(info.understanding.novelty))
            outputs["text_embedding"] = ("float32", (None, detector.levels.shape[1]))
            outputs["tags"] = ("float32", (None, None, len(TAGS)))
        if faults := session.faults(inputs, outputs):
            raise BundleError(f"{path}: {'; '.join(faults)}")
        tokenizer = Tokenizer(bundle.file(info.tokenizer), info.max_tokens)
        return cls(session, tokenizer, info.max_tokens, detector)

    def _encode(self, text: str) -> EncodedText | None:
        """Return the vector of a text, None if the text has no tokens.

        Each text has its own run, so that its bits do not depend on other texts.
        """
        tokens = self._tokenizer.tokenize(text)
        if tokens.is_empty:
            return None
        ids = tokens.ids[np.newaxis]
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        outputs = ["vector", "text_embedding", "tags"] if self._detector else ["vector"]
        vector, *rest = (output[0] for output in self._session.run(inputs, outputs))
        vector.flags.writeable = False  # it is cached and returned again
        if self._detector is None:
            return EncodedText(vector, tokens.is_cut)
        embedding, tags = rest
        readable = text.encode("utf-8", "replace").decode("utf-8")
        return EncodedText(
            vector,
            tokens.is_cut,
            read_sounds(readable, tokens, tags),
            self._detector.assess(text, tokens, embedding),
        )


@dataclass(frozen=True, slots=True)
class Towers:
    """The open towers of a bundle, with its phrases.

    Attributes:
        info: Their description in the manifest.
        audio: Projects embeddings.
        text: Projects texts.
        bank: Phrases for changes.
    """

    info: TowersInfo
    audio: AudioTower
    text: TextEncoder
    bank: TextBank

    @classmethod
    def open(cls, bundle: Bundle, *, device: Device = "auto", threads: int = 0) -> Towers | None:
        """Load the towers of a bundle; None if it has none.

        Args:
            bundle: A verified bundle.
            device: Where to run; see `open_session`.
            threads: Threads of a run; 0 for one per core.

        Raises:
            BundleError: A file differs from its description in the manifest.
            DeviceError: A GPU is required and missing.
        """
        info = bundle.manifest.towers
        if info is None:
            return None
        return cls(
            info,
            AudioTower.open(bundle, info, device=device, threads=threads),
            TextEncoder.open(bundle, info, device=device, threads=threads),
            TextBank.read(bundle.file(info.text_bank), info.dim),
        )

    def check(self, bundle: Bundle) -> None:
        """Project the stored embedding and text of the bundle and compare with its stored vectors.

        Raises:
            BundleError: A vector differs, or the stored ones cannot be read.
        """
        known = self.info.known_answer
        path = bundle.file(known.file)
        try:
            with np.load(path, allow_pickle=False) as stored:
                embedding, text = stored["embedding"], str(stored["text"])
                expected = {"audio tower": stored["audio_vector"], "text": stored["text_vector"]}
                if self.audio.has_difference:
                    reference = stored["reference"]
                    expected["difference"] = stored["difference_vector"]
            encoded = self.text.encode(text)
            if encoded is None:
                raise ValueError(f"the text {text!r} is empty")
            found = {
                "audio tower": self.audio.vectors(embedding[np.newaxis])[0],
                "text": encoded.vector,
            }
            if self.audio.has_difference:
                weight = bundle.manifest.difference.reference_weight
                found["difference"] = self.audio.difference(embedding, reference, weight)
            deviations = {name: _deviation(found[name], expected[name]) for name in found}
            if self.text.understands:
                with np.load(path, allow_pickle=False) as stored:
                    sounds, unknown = stored["sounds"].tolist(), float(stored["unknown"])
                _check_understanding(encoded, sounds, unknown)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise BundleError(f"{path} holds no known answer: {error}") from error
        for name, deviation in deviations.items():
            if not deviation <= known.tolerance:
                raise BundleError(
                    f"the {name} vector of the known answer in {path} deviates by {deviation:.2g}"
                    f" of its largest value; {known.tolerance:g} is allowed"
                )


def describe_sounds(sounds: Sequence[UnderstoodSound]) -> list[str]:
    """Return "change: words" of each sound, as a known answer stores them."""
    return [f"{each.change}: {each.sound}" for each in sounds]


def _check_understanding(encoded: EncodedText, sounds: list[str], unknown: float) -> None:
    """Compare the sounds of the known text, and whether it is known, with the stored ones."""
    if (found := describe_sounds(encoded.sounds)) != sounds:
        raise BundleError(f"the sounds of the known answer are {found}, not {sounds}")
    novelty = encoded.novelty
    if novelty is None or not abs(novelty.probability - unknown) <= UNKNOWN_TOLERANCE:
        raise BundleError("the known answer is another text for the detector of unknown texts")


def _deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest deviation, relative to the largest magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
