"""Load the torch encoder of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.numpy_helper
import torch

from service.bundle import files as bundle
from service.bundle.manifest import BundleManifest
from service.errors import BundleError
from training.model.model import EmbeddingModel


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """A bundle's encoder as a torch model.

    Attributes:
        model: The model, in evaluation mode, with the weights and statistics of the bundle.
        manifest: The bundle's ``bundle.json``.
    """

    model: EmbeddingModel
    manifest: BundleManifest


def load_bundle(path: Path) -> LoadedBundle:
    """Load a bundle's encoder for fine-tuning or further pre-training.

    The initialisers of the exported graph carry the names of the model's parameters.

    Raises:
        BundleError: The folder is no bundle, the bundle is damaged, or its encoder is another
            network.
    """
    verified = bundle.load_bundle(path)
    graph = onnx.load(str(verified.file(verified.manifest.encoder.file))).graph
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    model = EmbeddingModel()
    initial = model.state_dict()
    weights = {name: torch.from_numpy(values[name].copy()) for name in initial if name in values}
    weights |= {name: initial[name] for name in initial if name.endswith("num_batches_tracked")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise BundleError(f"{path} does not hold this encoder: {error}") from error
    return LoadedBundle(model.eval(), verified.manifest)
