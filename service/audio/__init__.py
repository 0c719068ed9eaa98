"""From an audio file to mono float32 samples: formats, decoding, resampling, levels.

The only package that knows soundfile, soxr and PyAV. Training decodes with it too.
"""
