"""The identity of the vectors of towers: a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import json

from training.towers.files import CONFIG, TOKENIZER, WEIGHTS
from training.towers.run import LoadedTowers


def fingerprint(loaded: LoadedTowers) -> str:
    """Hash the weights and statistics of both towers, the text encoder and the audio encoder.

    Over canonical content, not over the bytes of a graph: exporting the same towers again, or with
    the text encoder's weights in another precision, keeps it.
    """
    digest = hashlib.sha256()
    network = loaded.recipe.network
    stated = [loaded.encoder, loaded.recipe.text.max_tokens, network.unit]
    stated += [loaded.text_encoder[name] for name in (WEIGHTS, CONFIG, TOKENIZER)]
    digest.update(json.dumps(stated).encode())
    for tower in ("audio", "text"):
        for name, values in sorted(getattr(loaded.towers, tower).state_dict().items()):
            digest.update(json.dumps([tower, name, list(values.shape)]).encode())
            digest.update(values.float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()
