"""Spectrograms, waveform peaks and the map of a library, as PNG or plain numbers.

Knows nothing of HTTP. May use `library` and below.
"""
