"""The towers of a bundle, opened: sounds and texts become vectors of one space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from service.bundle.files import Bundle
from service.bundle.manifest import TowersInfo
from service.errors import BundleError
from service.inference.onnx_session import Device, Session, TensorSpec, open_session
from service.inference.phrases import TextBank
from service.inference.tokenizer import Tokenizer

ROWS = 16
"""Embeddings of one run of the audio tower."""
CACHED_TEXTS = 256

# What a graph must have: data type and axes, a number where it is fixed and None where it varies.
_Contract = Mapping[str, tuple[TensorSpec | None, str, tuple[int | None, ...]]]


class AudioTower:
    """Brings raw embeddings into the common space; safe to use from several threads.

    Attributes:
        fingerprint: Identity of the towers.
        dim: Length of a vector.
        provider: Execution provider it runs on.
    """

    def __init__(self, session: Session, info: TowersInfo) -> None:
        self._session = session
        self.fingerprint = info.fingerprint
        self.dim = info.dim
        self.provider = session.provider

    @classmethod
    def open(cls, bundle: Bundle, info: TowersInfo, *, device: Device, threads: int) -> AudioTower:
        """Load the audio tower of a bundle, see `Towers.open`."""
        path = bundle.file(info.audio_tower)
        session = open_session(path, device=device, threads=threads)
        inputs, outputs = session.inputs, session.outputs
        faults = _contract_faults(
            {
                "input embedding": (
                    inputs.get("embedding"),
                    "float32",
                    (None, bundle.manifest.encoder.dim),
                ),
                "output vector": (outputs.get("vector"), "float32", (None, info.dim)),
            }
        )
        if faults:
            raise BundleError(f"{path}: {'; '.join(faults)}")
        return cls(session, info)

    def vectors(
        self, embeddings: Float32[np.ndarray, "clips embedding_dim"]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Return the vector of each raw embedding, of any length.

        A vector has the same bits whatever it is asked for with: the last bits of a product may
        depend on its number of rows, so every run has `ROWS` of them.
        """
        vectors = np.empty((len(embeddings), self.dim), np.float32)
        for start in range(0, len(embeddings), ROWS):
            rows = embeddings[start : start + ROWS]
            run = np.zeros((ROWS, embeddings.shape[1]), np.float32)
            run[: len(rows)] = rows
            (found,) = self._session.run({"embedding": run}, ["vector"])
            vectors[start : start + ROWS] = found[: len(rows)]
        return vectors


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text in the common space.

    Attributes:
        vector: Of any length, float32 [dim].
        is_cut: Whether the end of the text was beyond the window.
    """

    vector: Float32[np.ndarray, " dim"]
    is_cut: bool


class TextEncoder:
    """Brings texts into the common space; safe to use from several threads.

    Attributes:
        max_tokens: Window of a text, special tokens included.
    """

    def __init__(self, session: Session, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.encode = lru_cache(CACHED_TEXTS)(self._encode)

    @classmethod
    def open(cls, bundle: Bundle, info: TowersInfo, *, device: Device, threads: int) -> TextEncoder:
        """Load the text encoder of a bundle, see `Towers.open`."""
        path = bundle.file(info.text_encoder)
        session = open_session(path, device=device, threads=threads)
        inputs, outputs = session.inputs, session.outputs
        faults = _contract_faults(
            {
                "input input_ids": (inputs.get("input_ids"), "int64", (None, None)),
                "input attention_mask": (inputs.get("attention_mask"), "int64", (None, None)),
                "output vector": (outputs.get("vector"), "float32", (None, info.dim)),
            }
        )
        if faults:
            raise BundleError(f"{path}: {'; '.join(faults)}")
        tokenizer = Tokenizer(bundle.file(info.tokenizer), info.max_tokens)
        return cls(session, tokenizer, info.max_tokens)

    def _encode(self, text: str) -> EncodedText | None:
        """Return the vector of a text, None if the text encoder reads nothing in it.

        Each text is run alone, so that its bits do not depend on what else is asked for.
        """
        tokens = self._tokenizer.tokenize(text)
        if tokens.is_empty:
            return None
        ids = tokens.ids[np.newaxis]
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (vectors,) = self._session.run(inputs, ["vector"])
        vector = vectors[0]
        vector.flags.writeable = False  # it is given out again
        return EncodedText(vector, tokens.is_cut)


@dataclass(frozen=True, slots=True)
class Towers:
    """Everything of a bundle that knows the common space of sounds and texts."""

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
            threads: Threads of one run; 0 for one per physical core.

        Raises:
            BundleError: A file of theirs is not what the bundle's manifest describes.
            DeviceError: A GPU is demanded and missing.
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
        """Place the bundle's stored embedding and text and compare with its stored vectors.

        Raises:
            BundleError: An answer is another one, or the stored ones cannot be read.
        """
        known = self.info.known_answer
        path = bundle.file(known.file)
        try:
            with np.load(path, allow_pickle=False) as stored:
                embedding, text = stored["embedding"], str(stored["text"])
                expected = {"audio tower": stored["audio_vector"], "text": stored["text_vector"]}
            encoded = self.text.encode(text)
            if encoded is None:
                raise ValueError(f"the text {text!r} is empty")
            found = {
                "audio tower": self.audio.vectors(embedding[np.newaxis])[0],
                "text": encoded.vector,
            }
            deviations = {name: _deviation(found[name], expected[name]) for name in found}
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise BundleError(f"{path} holds no known answer: {error}") from error
        for name, deviation in deviations.items():
            if not deviation <= known.tolerance:
                raise BundleError(
                    f"the {name} vector of the known answer in {path} deviates by {deviation:.2g}"
                    f" of its largest value; {known.tolerance:g} is allowed"
                )


def _deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest deviation, relative to the largest magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _contract_faults(contract: _Contract) -> list[str]:
    faults = []
    for name, (spec, dtype, axes) in contract.items():
        if spec is None:
            faults.append(f"{name} is missing")
        elif spec[0] != dtype or not _has_axes(spec[1], axes):
            shown = ", ".join("any" if axis is None else str(axis) for axis in axes)
            faults.append(f"{name} is {spec[0]} {spec[1]}, must be {dtype} [{shown}]")
    return faults


def _has_axes(shape: tuple[int | str | None, ...], axes: tuple[int | None, ...]) -> bool:
    """Tell whether a shape has these axes; one that varies has a name or nothing for a number."""
    return len(shape) == len(axes) and all(
        not isinstance(have, int) if want is None else have == want
        for have, want in zip(shape, axes, strict=True)
    )
