"""Export of trained towers into a bundle: graphs, gates, fingerprint, sources.

`export` does it all; the service is used to check that what is written is what will be served.
"""
