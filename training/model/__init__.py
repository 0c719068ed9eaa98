"""The encoder in torch: log-mel front end, AudioNTT2022, and CPU kernels for its training.

`model.EmbeddingModel` is the whole network from waveform to embedding, as it is exported. Uses no
other package of training.
"""
