"""Messages that a decoder library prints, as a field of one log line.

libmpg123, which is part of libsndfile, prints a line for each damaged frame of an MP3 and cannot be
told not to; its decoder of ALAC prints to standard output. `divert_standard_streams` lets C
libraries write to the list of the thread that decodes.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

_LOGGER = logging.getLogger(__name__)

MAX_MESSAGES = 5
"""Messages of one file that are logged; the others are counted."""
MAX_CHARACTERS = 200
"""Characters of one message that are logged."""
MAX_KEPT = 1000
"""Messages of one file that are kept until they are logged."""

_UNBUFFERED = 2  # _IONBF of C
_collecting = threading.local()

_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Callbacks(ctypes.Structure):
    """`cookie_io_functions_t` of the C library."""

    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _Write),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


@cache
def divert_standard_streams() -> bool:
    """Let C libraries write to the lists of `collecting_messages` instead of standard streams.

    What they write elsewhere goes to standard error. What Python writes is not changed.

    Returns:
        Whether this C library allows it; if not, messages stay on the streams.
    """
    try:
        library = ctypes.CDLL(None)
        streams = [ctypes.c_void_p.in_dll(library, name) for name in ("stdout", "stderr")]
        open_stream, set_buffer = library.fopencookie, library.setvbuf
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    open_stream.restype = ctypes.c_void_p
    open_stream.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Callbacks]
    set_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t]
    callbacks = _Callbacks(write=_Write(_write))
    diverted = open_stream(None, b"w", callbacks)
    if not diverted:
        return False
    set_buffer(diverted, None, _UNBUFFERED, 0)
    originals = [stream.value for stream in streams]
    for stream in streams:
        stream.value = diverted

    def restore(_: _Callbacks = callbacks) -> None:  # keeps the callbacks until then
        for stream, original in zip(streams, originals, strict=True):
            stream.value = original

    atexit.register(restore)
    return True


def _write(_: int | None, address: int | None, size: int) -> int:
    data = ctypes.string_at(address or 0, size)
    messages: list[str] | None = getattr(_collecting, "messages", None)
    if messages is None:
        os.write(2, data)
    elif len(messages) < MAX_KEPT:
        messages += decode_messages(data)
    return size


@contextmanager
def collecting_messages(messages: list[str]) -> Iterator[None]:
    """Collect what C libraries write in this thread, if the streams are diverted."""
    _collecting.messages = messages
    try:
        yield
    finally:
        _collecting.messages = None


def decode_messages(data: bytes) -> list[str]:
    """Return the lines of bytes that a library wrote, without empty ones."""
    lines = data.decode("utf-8", "replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def log_messages(messages: Sequence[str]) -> None:
    """Log the messages about one file in one line; nothing if there are none."""
    if messages:
        shown = [message[:MAX_CHARACTERS] for message in messages[:MAX_MESSAGES]]
        _LOGGER.info(
            "the decoder reported damage",
            extra={"decoder_messages": shown, "decoder_messages_total": len(messages)},
        )
