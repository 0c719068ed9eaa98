"""The offline half: trains the difference-aware encoder, measures it and exports bundles."""
