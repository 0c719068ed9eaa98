from __future__ import annotations

import ctypes
import io
import logging
import subprocess
import sys
import threading

import decoder_corpus
import pytest

from service.audio.decoding import decode
from service.audio.library_messages import (
    MAX_CHARACTERS,
    MAX_MESSAGES,
    collecting_messages,
    divert_standard_streams,
    log_messages,
)

glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "fopencookie"), reason="needs glibc's fopencookie"
)


def print_by_c(text: str, stream_name: str = "stderr") -> None:
    """Write to a standard stream of the C library."""
    library = ctypes.CDLL(None)
    stream = ctypes.c_void_p.in_dll(library, stream_name)
    library.fputs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.fputs(text.encode(), stream)


@glibc
def test_damage_that_libmpg123_reports_is_one_log_line_and_not_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    assert divert_standard_streams()

    decode(io.BytesIO(decoder_corpus.damaged_mp3()), sample_rate=16_000)

    (record,) = [each for each in caplog.records if hasattr(each, "decoder_messages")]
    assert record.levelno == logging.INFO
    assert vars(record)["decoder_messages"]
    assert vars(record)["decoder_messages_total"] >= len(vars(record)["decoder_messages"])
    assert capfd.readouterr().err == ""


@glibc
def test_other_messages_of_the_c_library_are_printed_as_before(
    capfd: pytest.CaptureFixture[str],
) -> None:
    divert_standard_streams()
    print_by_c("as before\n")
    assert capfd.readouterr().err == "as before\n"


@glibc
def test_each_thread_collects_its_own_messages(capfd: pytest.CaptureFixture[str]) -> None:
    divert_standard_streams()
    found: dict[int, list[str]] = {n: [] for n in range(8)}
    barrier = threading.Barrier(len(found))

    def collect(n: int) -> None:
        with collecting_messages(found[n]):
            barrier.wait(20)
            for _ in range(10):
                print_by_c(f"thread {n}\n")
                print_by_c(f"thread {n}\n", "stdout")

    threads = [threading.Thread(target=collect, args=(n,)) for n in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {n: [f"thread {n}"] * 20 for n in found}
    assert capfd.readouterr() == ("", "")


def test_a_log_line_holds_few_messages_and_counts_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log_messages([])
    log_messages(["x" * 10_000] * 100)
    (record,) = caplog.records
    assert vars(record)["decoder_messages"] == ["x" * MAX_CHARACTERS] * MAX_MESSAGES
    assert vars(record)["decoder_messages_total"] == 100


@glibc
def test_a_shell_command_prints_no_messages_of_libraries() -> None:
    """A message of a C library at the end of the process does not crash it either."""
    script = (
        "import io, sys\n"
        "from service.cli import main\n"
        "try: main(['key', '--help'])\n"
        "except SystemExit: pass\n"
        "from service.audio.decoding import decode\n"
        "decode(io.BytesIO(sys.stdin.buffer.read()), sample_rate=16_000)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=decoder_corpus.damaged_mp3(),
        capture_output=True,
        check=True,
    )
    assert run.stderr == b""
