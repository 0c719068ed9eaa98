"""Has anything changed? A detector is fitted, calibrated and measured on excerpts of recordings."""
