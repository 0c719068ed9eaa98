"""The towers: sounds and texts in one space (paper, section 5.3)."""
