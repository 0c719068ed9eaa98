"""Clips for training: manifests, splits, the store of decoded audio, sampling, attribution.

Decodes with `service.audio`, as the service does. Uses of training only recipes, errors and the
constants of `training.model`.
"""
