"""Threads, locks, deadlines and durable file writes.

Knows nothing of audio or search. May use `service.errors` and the standard library.
"""
