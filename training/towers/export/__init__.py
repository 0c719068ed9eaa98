"""Putting trained towers into a bundle: graphs, gates, fingerprint."""
