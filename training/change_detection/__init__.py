"""The detector of changes: fitted, calibrated and measured on excerpts of recordings.

``dataset`` draws and embeds excerpts, ``trials`` pairs them, ``calibrate`` fits a detector of
``service.retrieval.change_detector``, ``measure`` cross-validates it, and ``export`` puts it into
a bundle.
"""
