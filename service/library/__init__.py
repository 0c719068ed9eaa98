"""A library of clips: catalogue, audio files and search index kept consistent; import and backup.

May use `catalog`, `index`, `inference` and lower packages. Knows no HTTP.
"""
