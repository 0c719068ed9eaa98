"""Inference with the models of a bundle: encoder, batching, pooling, cache, towers and texts.

The only package that imports onnxruntime and tokenizers. It may use `audio`, `bundle`,
`concurrency` and the modules below them, but no library and no HTTP.
"""
