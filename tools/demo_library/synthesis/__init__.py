"""Synthesis of sounds from noise, resonances and harmonics, without recordings."""
