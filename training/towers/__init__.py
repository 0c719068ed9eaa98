"""Training of the towers, which map sounds and texts into one space (docs/method.md).

`recipe` says how; `data`, `training_pairs`, `texts` and `vocabulary` build what is trained on from
a set of scenes; `networks`, `losses`, `batches` and `train` train; `run` writes and reads
checkpoints. `evaluation` measures towers, `export` writes them into a bundle.
"""
