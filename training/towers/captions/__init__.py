"""Clips with captions: training of the towers on every clip that the encoder was trained on.

The labels of clips are captions, and the teacher's scores stand for labels where there are none.
"""
