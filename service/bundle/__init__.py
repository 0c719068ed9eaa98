"""The bundle format: the manifest `bundle.json`, and reading and verifying the files it names.

Training writes bundles with it. Runs no graph.
"""
