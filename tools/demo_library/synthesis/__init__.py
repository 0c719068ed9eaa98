"""Sounds from physics and arithmetic: noise, resonances and harmonics, without recordings."""
