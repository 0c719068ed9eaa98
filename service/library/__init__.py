"""A library of clips: catalogue, audio files and index kept consistent; import and backup.

May use `catalog`, `index`, `inference` and below.
"""
