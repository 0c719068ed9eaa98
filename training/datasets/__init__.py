"""Data sets that evaluations need, made from what a user has on disk."""
