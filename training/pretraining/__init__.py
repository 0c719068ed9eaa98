"""Pre-training of the encoder: objective, augmentation, step, runs and checkpoints.

`objective` has the equations of the paper, `step` one training step, `run` and `pretrain` whole
runs. Uses `training.model`, `training.data`, and from `training.export` the loading of a bundle.
"""
