"""Fingerprint of towers: a hash of all that their vectors depend on."""

from __future__ import annotations

import hashlib
import json

from training.towers.run import LoadedTowers
from training.towers.text_encoder_files import CONFIG, TOKENIZER, WEIGHTS


def towers_fingerprint(loaded: LoadedTowers) -> str:
    """Hash the weights and statistics of both towers, the text encoder and the audio encoder.

    A trained difference and a length of the text vectors count where there are any.

    The hash is over canonical content, not over the bytes of a graph. It stays the same when the
    same towers are exported again, or with weights of the text encoder in another precision.
    """
    digest = hashlib.sha256()
    network = loaded.recipe.network
    settings = [loaded.encoder, loaded.recipe.text.max_tokens, network.unit]
    settings += [loaded.text_encoder[name] for name in (WEIGHTS, CONFIG, TOKENIZER)]
    networks = loaded.networks
    settings += [networks.text.length] if networks.text.length != 1.0 else []
    digest.update(json.dumps(settings).encode())
    for tower in ("audio", "text", *(["difference"] if networks.difference else [])):
        for name, values in sorted(getattr(networks, tower).state_dict().items()):
            digest.update(json.dumps([tower, name, list(values.shape)]).encode())
            digest.update(values.float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()
