"""Loading of a bundle and its models, for the server and for the shell alike.

Functions import what they load, so that a command loads no more than it needs. They raise a
`StartupError` if the bundle or the device cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from service.errors import BundleError

if TYPE_CHECKING:
    from service.bundle.files import Bundle
    from service.inference.embedding_space import Space
    from service.inference.encoder import Encoder
    from service.inference.towers import Towers
    from service.retrieval.change_detector import ChangeDetector
    from service.settings import Settings

MAX_DEFAULT_RUNS = 4


def check_bundle(settings: Settings) -> None:
    """Raise a `BundleError` that says how to name another bundle if the path does not exist."""
    if not settings.bundle.exists():
        raise BundleError(
            f"there is no bundle at {settings.bundle}; name one with --bundle or MINUEND_BUNDLE"
        )


def open_bundle(settings: Settings) -> Bundle:
    """Read and verify the bundle."""
    from service.bundle.files import load_bundle

    check_bundle(settings)
    return load_bundle(settings.bundle)


def open_encoder(bundle: Bundle, settings: Settings, *, batched: bool = False) -> Encoder:
    """Load the encoder in the precision of the settings, and check its known answer.

    Args:
        bundle: A verified bundle.
        settings: Precision, device, threads, runs and tuning.
        batched: Whether it encodes many files: several runs at the same time share the threads.
    """
    from service.inference.encoder import Encoder
    from service.inference.onnx_session import Tuning, n_cores
    from service.inference.precision import open_checked

    runs = (settings.runs or min(n_cores(), MAX_DEFAULT_RUNS)) if batched else 1
    opener = partial(
        Encoder.open,
        device=settings.device,
        threads=settings.threads,
        runs=runs,
        tuning=Tuning(spinning=settings.spinning, arena=settings.arena),
    )
    return open_checked(bundle, settings.precision, opener)


def open_towers(bundle: Bundle, settings: Settings) -> Towers | None:
    """Load the towers of a bundle; None if it has none."""
    from service.inference.towers import Towers

    return Towers.open(bundle, device=settings.device, threads=settings.threads)


def open_space(bundle: Bundle, settings: Settings) -> Space:
    """Load the embedding space of a bundle; of its towers, only the audio tower is loaded."""
    from service.inference.embedding_space import make_space
    from service.inference.towers import AudioTower

    info, tower = bundle.manifest.towers, None
    if info is not None:
        tower = AudioTower.open(bundle, info, device=settings.device, threads=settings.threads)
    return make_space(bundle, tower)


@dataclass(frozen=True, slots=True)
class Models:
    """The opened models of a bundle.

    Attributes:
        towers: None if the bundle has none.
        detector: None if the bundle has none.
        space: The space of the towers or, without them, of the embeddings.
    """

    bundle: Bundle
    encoder: Encoder
    towers: Towers | None
    detector: ChangeDetector | None
    space: Space


def open_models(bundle: Bundle, settings: Settings, *, batched: bool = False) -> Models:
    """Load all models of a bundle; see `open_encoder`."""
    from service.inference.embedding_space import make_space
    from service.retrieval.change_detector import ChangeDetector

    encoder = open_encoder(bundle, settings, batched=batched)
    towers = open_towers(bundle, settings)
    detector = ChangeDetector.open(bundle)
    space = make_space(bundle, towers.audio if towers else None)
    return Models(bundle, encoder, towers, detector, space)
