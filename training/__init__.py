"""Training: pre-trains the difference-aware encoder, trains the towers, measures, and exports.

May use of the service only modules that both must agree on, such as decoding, the bundle's
manifest and the encoder that runs a bundle; import-linter checks this.
"""
