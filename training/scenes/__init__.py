"""Pairs of clips that differ by one or two changes, drawn, rendered and embedded."""
