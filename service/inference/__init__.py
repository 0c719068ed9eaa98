"""Running the bundle's graphs: the encoder, batching, pooling, the towers, text.

The only package that knows onnxruntime and tokenizers. May use `audio`, `bundle` and below.
"""
