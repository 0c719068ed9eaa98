"""Pages, cards and plots, rendered from results files."""
