"""From a checkpoint to a bundle: graphs, precision variants, gates, fingerprints."""
