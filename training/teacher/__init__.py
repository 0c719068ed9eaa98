"""The teacher of distillation: YAMNet, a published classifier of sounds.

Its files come from a package; none of that package's code is run.
"""
