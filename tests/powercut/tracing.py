"""Interception of the system calls of a child process with ptrace, on Linux on x86-64.

A filter (seccomp) in the child stops it at the calls of `NUMBERS` only; reads, locks and memory are
as fast as without it. At each stop the tracer may let the call pass, look at its result, or make it
fail with an error number, without the call being done.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NUMBERS = {
    1: "write",
    2: "open",
    18: "pwrite64",
    20: "writev",
    40: "sendfile",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    85: "creat",
    86: "link",
    87: "unlink",
    88: "symlink",
    257: "openat",
    258: "mkdirat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    266: "symlinkat",
    275: "splice",
    285: "fallocate",
    296: "pwritev",
    316: "renameat2",
    326: "copy_file_range",
    328: "pwritev2",
    437: "openat2",
}
"""The calls that change files, by their number."""

_CONT, _GETREGS, _SETREGS, _SYSCALL, _SEIZE = 7, 12, 13, 24, 0x4206
_TRACE_SYSGOOD, _TRACE_SECCOMP, _EXIT_KILL = 0x1, 0x80, 0x100000
_EVENT_SECCOMP = 7
_WAIT_ALL = 0x40000000
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_RET_TRACE, _RET_ALLOW = 0x7FF00000, 0x7FFF0000
_LOAD_NUMBER, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


_REGISTERS = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss"
    " fs_base gs_base ds es fs gs"
)


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _REGISTERS.split()]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of a stopped process.

    Attributes:
        pid: The process.
        name: Name of the call.
        arguments: Its six arguments.
    """

    pid: int
    name: str
    arguments: tuple[int, ...]

    def memory(self, address: int, size: int) -> bytes:
        """Read the memory of the process [bytes]."""
        with Path(f"/proc/{self.pid}/mem").open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, address)

    def text(self, argument: int) -> str:
        """Return the path that an argument points to."""
        address, content = self.arguments[argument], b""
        while b"\0" not in content:
            start = address + len(content)
            content += self.memory(start, 4096 - start % 4096)
        return os.fsdecode(content[: content.index(b"\0")])


Entry = Callable[[Call], int]
"""Decides at the entry of a call: `PASS`, `LOOK` at its result as well, or an error number."""
Exit = Callable[[Call, int], None]
"""Is told the result of a call; errors are negative."""
PASS, LOOK = 0, -1


def why_not() -> str | None:
    """Return why calls cannot be intercepted here; None if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"interception of system calls is for Linux on x86-64, not {platform.machine()}"
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            attach(child.pid)
            child.communicate(b"go\n")
        except OSError as error:
            child.kill()
            return f"this system does not allow ptrace: {error}"
    return None if child.returncode == 0 else "this system does not allow filters of calls"


def install_filter() -> None:
    """Make this process stop at the calls of `NUMBERS`; a tracer must be attached already.

    Raises:
        OSError: The system does not allow it.
    """
    lines = [struct.pack("HBBI", _LOAD_NUMBER, 0, 0, 0)]
    for index, number in enumerate(NUMBERS):
        lines.append(struct.pack("HBBI", _JUMP_EQUAL, len(NUMBERS) - index, 0, number))
    lines.append(struct.pack("HBBI", _RETURN, 0, 0, _RET_ALLOW))
    lines.append(struct.pack("HBBI", _RETURN, 0, 0, _RET_TRACE))
    program = _Program(len(lines), b"".join(lines))
    for arguments in (
        (_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if _libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl: {os.strerror(number)}")


def attach(pid: int) -> None:
    """Become the tracer of a process that is waiting to install its filter."""
    _ptrace(_SEIZE, pid, 0, _TRACE_SYSGOOD | _TRACE_SECCOMP | _EXIT_KILL)


def follow(pid: int, on_entry: Entry, on_exit: Exit) -> int:
    """Run an attached process to its end.

    Args:
        pid: The process.
        on_entry: Called at the entry of each call.
        on_exit: Called at the end of the calls to `LOOK` at.

    Returns:
        Its exit code; negative for the signal that killed it.
    """
    try:
        return _follow(pid, on_entry, on_exit)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def _follow(pid: int, on_entry: Entry, on_exit: Exit) -> int:
    pending: Call | None = None
    while True:
        _, status = os.waitpid(pid, _WAIT_ALL)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        request, delivered = _CONT, 0
        if status >> 16 == _EVENT_SECCOMP:
            pending, verdict = _enter(pid, on_entry)
            request = _SYSCALL if verdict == LOOK else _CONT
        elif os.WSTOPSIG(status) == _SYSCALL_STOP and pending is not None:
            on_exit(pending, ctypes.c_longlong(_registers(pid).rax).value)
        elif status >> 16 == 0 and os.WSTOPSIG(status) != signal.SIGTRAP:
            delivered = os.WSTOPSIG(status)
        _ptrace(request, pid, 0, delivered)


def _enter(pid: int, on_entry: Entry) -> tuple[Call, int]:
    registers = _registers(pid)
    arguments = (
        *(registers.rdi, registers.rsi, registers.rdx),
        *(registers.r10, registers.r8, registers.r9),
    )
    call = Call(pid, NUMBERS[registers.orig_rax], arguments)
    verdict = on_entry(call)
    if verdict > 0:
        registers.orig_rax, registers.rax = ctypes.c_ulonglong(-1).value, 2**64 - verdict
        _ptrace(_SETREGS, pid, 0, ctypes.addressof(registers))
    return call, verdict


def _registers(pid: int) -> _Registers:
    registers = _Registers()
    _ptrace(_GETREGS, pid, 0, ctypes.addressof(registers))
    return registers


def _ptrace(request: int, pid: int, address: int, data: int) -> None:
    if _libc.ptrace(request, pid, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


if __name__ == "__main__":
    input()
    install_filter()
    os._exit(0)  # no call may follow, as nobody attends to it
