"""The command `minuend demo`, and the clips of its library.

The clips were rendered by `tools/demo_library`; none is a recording.
"""
