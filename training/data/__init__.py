"""Training clips: manifests, splits, the decoded store, sampling, attribution."""
