"""Data sets for evaluations, made from copies that the user has on disk.

The tasks of linear evaluation (``tasks`` and the preparers) and Background-known ESC-50
(``bgknown``). Uses ``training.data``; does not know ``training.evaluation``.
"""
