"""From a checkpoint to a bundle: graphs, precision variants and their gate, fingerprints.

`export` writes a new bundle, `renew` renews parts of one, `load` reads its encoder back into
torch. Checks everything with `service.inference`, the code that serves it.
"""
