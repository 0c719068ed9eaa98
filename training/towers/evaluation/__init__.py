"""Measuring towers: recall, words, ablation, baselines."""
