"""The bundle format: the manifest `bundle.json`, and reading and verifying the listed files.

Training writes bundles with this package. It uses `concurrency` and `errors`, and runs no graph.
"""
