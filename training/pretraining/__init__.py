"""Pre-training of the encoder: the objective, augmentations, the step, runs and checkpoints."""
