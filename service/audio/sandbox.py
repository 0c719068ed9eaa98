"""Confines a process that decodes files: its memory, its time, its files and its system calls.

Linux only. A confined process reads the descriptors it was given, writes to those it has, computes,
and ends; it opens no file, no socket and no other process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
from pathlib import Path

MEMORY_BYTES = 1 << 30
"""Address space of a process [bytes]."""
HIGHEST_DESCRIPTOR = 4
"""The descriptors 0 to 3 are open; 4 is free for the file that is decoded."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

# Of libseccomp.
_ALLOW = 0x7FFF_0000
_REFUSE = 0x0005_0000 | errno.EPERM
_MASKED_EQUAL = 7
_PROT_EXEC = 4

_CALLS = (
    # The channel, the file and the messages.
    *("recvmsg", "recvfrom", "sendmsg", "sendto", "read", "write", "close"),
    *("pread64", "preadv", "preadv2"),
    # Memory.
    *("brk", "munmap", "mremap", "madvise"),
    # Clocks, locks, random bytes and the end.
    *("clock_gettime", "clock_getres", "gettimeofday", "futex", "sched_yield", "getrandom"),
    *("getpid", "gettid", "getrusage", "restart_syscall", "rt_sigreturn", "rt_sigprocmask"),
    *("exit", "exit_group"),
)
_NOT_EXECUTABLE = ("mmap", "mprotect")
"""Calls that are allowed for memory that is not executed; the third argument says so."""


class _Comparison(ctypes.Structure):
    """`scmp_arg_cmp` of libseccomp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def confine(cpu_s: int, parent: int, seccomp: ctypes.CDLL | None) -> bool:
    """Confine this process, for good.

    Args:
        cpu_s: Processor time after which it is ended [s].
        parent: Its parent; it ends with that.
        seccomp: The result of `open_seccomp`.

    Returns:
        Whether its calls are filtered too, which needs libseccomp.

    Raises:
        OSError: The system does not allow a limit.
    """
    _end_with(parent)
    with contextlib.suppress(OSError):  # of several processes, the kernel ends this one first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, HIGHEST_DESCRIPTOR + 1),
    ):
        _, highest = resource.getrlimit(kind)
        if highest != resource.RLIM_INFINITY:
            limit = min(limit, highest)
        resource.setrlimit(kind, (limit, limit))
    _control_process(_PR_SET_NO_NEW_PRIVS, 1)
    return seccomp is not None and _filter_calls(seccomp)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends."""
    _control_process(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(0)


def _control_process(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def open_seccomp() -> ctypes.CDLL | None:
    """Load libseccomp; None if it is not installed."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    ]
    return library


def _filter_calls(seccomp: ctypes.CDLL) -> bool:
    """Refuse all system calls but those that decoding needs; tell whether that was possible."""
    if not (rules := seccomp.seccomp_init(_REFUSE)):
        return False
    comparison = _Comparison(argument=2, operator=_MASKED_EQUAL, mask=_PROT_EXEC, value=0)
    allowed = dict.fromkeys(_CALLS, 0) | dict.fromkeys(_NOT_EXECUTABLE, 1)
    for name, n_comparisons in allowed.items():
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # A system without the call has a negative number.
        if number >= 0 and seccomp.seccomp_rule_add_array(
            rules, _ALLOW, number, n_comparisons, ctypes.byref(comparison)
        ):
            return False
    return bool(seccomp.seccomp_load(rules) == 0)
