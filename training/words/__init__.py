"""Words for changes and sounds: phrasings, and several names for every sound.

Part of both is held out of training, for evaluation only. `grammar` draws texts from the two YAML
files, which list everything.
"""
