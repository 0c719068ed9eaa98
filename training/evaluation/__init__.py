"""Measurements of encoders, done as in the paper (sections 5.2 and 5.4).

``measure`` runs a measurement and writes its row of a results file; the other modules compute.
Uses the encoders of bundles, ``training.data`` and ``training.datasets``.
"""
