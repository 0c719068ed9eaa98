"""Search and difference: embed the inputs, compose a query, compare, and rank the clips.

Takes and returns plain values: no HTTP and no response bodies. May use `library` and below.
"""
