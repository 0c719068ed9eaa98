"""Measure what a user of text and of example search gets, through the code of the service.

``measure`` runs the protocols, each in a module of its own: ``text_only``, ``unknown``,
``negation``, ``composition``, ``subtraction`` and ``example``. No evaluated clip, and no other
clip of its recording, was used to train the encoder or the towers. The YAML files list every text
and what counts as right; they were written by hand, from the labels of the clips alone.
"""
