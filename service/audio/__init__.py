"""Audio files as mono float32 waveforms: formats, decoding, resampling and levels.

The only package that imports soundfile, soxr and PyAV. Training decodes with it too.
"""
