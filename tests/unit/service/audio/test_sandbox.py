"""What a confined process can do; each attempt is made in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from service.audio.sandbox import open_seccomp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
needs_seccomp = pytest.mark.skipif(open_seccomp() is None, reason="libseccomp is not installed")

CONFINE = """
import ctypes, os, resource, signal, socket, sys, threading
import numpy as np
from service.audio import sandbox
seccomp = sandbox.open_seccomp() if {filtered} else None
os.closerange(3, 100)
spare = os.dup(0)
is_filtered = sandbox.confine(1, os.getppid(), seccomp)
try:
{attempt}
except BaseException as error:
    os.write(1, type(error).__name__.encode())
else:
    os.write(1, b"done")
os._exit(0)
"""


def attempt(code: str, *, filtered: bool) -> tuple[str, int]:
    """Run code in a confined process; return what came of it, and the exit code."""
    script = CONFINE.format(filtered=filtered, attempt=textwrap.indent(code, "    "))
    run = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        timeout=60,
        check=False,
    )
    return run.stdout.decode(), run.returncode


FORBIDDEN = {
    "open a file": "os.open('/etc/passwd', os.O_RDONLY); os.open('/etc/passwd', os.O_RDONLY)",
    "make a file": "os.open('/tmp/confined', os.O_CREAT | os.O_WRONLY); os.open('/', os.O_RDONLY)",
    "allocate two gibibytes": "np.zeros(2**31, np.uint8)",
}
FILTERED = {
    "open one file": "os.open('/etc/passwd', os.O_RDONLY)",
    "open a socket": "socket.socket()",
    "start a thread": "threading.Thread(target=print).start()",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "signal its parent": "os.kill(os.getppid(), 0)",
    "trace its parent": "assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
    "read a folder": "os.listdir('/')",
    "delete a file": "os.unlink('/tmp/confined')",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (1, 1))",
    "make code": "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
}
ALLOWED = {
    "compute": "assert np.dot(np.ones(10**6), np.ones(10**6)) == 10**6",
    "allocate": "np.ones(10**7)",
    "read what it was given": "os.read(0, 10)",
}


@pytest.mark.parametrize("what", FORBIDDEN)
@pytest.mark.parametrize("filtered", [False, pytest.param(True, marks=needs_seccomp)])
def test_a_confined_process_cannot(what: str, filtered: bool) -> None:
    outcome, _ = attempt(FORBIDDEN[what], filtered=filtered)
    assert outcome.endswith("Error")


@needs_seccomp
@pytest.mark.parametrize("what", FILTERED)
def test_a_filtered_process_cannot(what: str) -> None:
    outcome, _ = attempt(FILTERED[what], filtered=True)
    assert outcome.endswith("Error")


@pytest.mark.parametrize("what", ALLOWED)
@pytest.mark.parametrize("filtered", [False, pytest.param(True, marks=needs_seccomp)])
def test_a_confined_process_can(what: str, filtered: bool) -> None:
    assert attempt(ALLOWED[what], filtered=filtered) == ("done", 0)


def test_a_process_that_computes_too_long_is_ended() -> None:
    outcome, code = attempt("while True: pass", filtered=True)
    assert outcome == ""
    assert code in (-signal.SIGXCPU, -signal.SIGKILL)  # the soft and the hard limit are the same


@needs_seccomp
def test_the_filter_and_the_privileges_are_seen_by_the_kernel() -> None:
    code = "print(open(3).read()); sys.stdout.flush()"
    script = CONFINE.format(filtered=True, attempt=textwrap.indent(code, "    "))
    script = script.replace("os.dup(0)", "os.open('/proc/self/status', os.O_RDONLY)")
    run = subprocess.run(
        [sys.executable, "-c", script.replace("open(3).read()", "os.read(3, 10_000).decode()")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "NoNewPrivs:\t1" in run.stdout
    assert "Seccomp:\t2" in run.stdout


def test_a_process_whose_parent_has_ended_ends() -> None:
    script = "from service.audio import sandbox; sandbox.confine(2, 1, None); print('goes on')"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == ""
