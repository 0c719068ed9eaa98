"""The use cases: search, difference, and how a query is composed.

Plain values in and out: knows nothing of HTTP. May use `library` and below.
"""
