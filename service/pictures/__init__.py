"""Waveform outlines and spectrograms of clips, and the map of a library.

Returns numbers and PNG bytes; no HTTP. May use `library` and the layers below it.
"""
