"""Threads, locks, deadlines and durable file writes.

Has no knowledge of audio or search. May use `service.errors`, the standard library and anyio.
"""
