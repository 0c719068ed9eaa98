"""Decoders in processes that die, stop or are not needed any more."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path

import decoder_corpus
import pytest
from pool_control import LIMITS, WAV, Deaths, Stopped, idle, outcome, run, wait_for_state

from service.audio import decoder_pool
from service.audio.decoder import decode_blocks
from service.audio.decoder_pool import DecoderPool
from service.audio.errors import (
    AudioUndecodableError,
)
from service.audio.fork_server import ForkServerError
from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.errors import (
    DeadlineError,
    OverloadError,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.mark.parametrize(
    "number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGXCPU, signal.SIGBUS]
)
def test_a_decoder_that_dies_refuses_its_file_and_no_other(
    pool: DecoderPool, deaths: Deaths, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    before = deaths.count
    stopped = Stopped(pool)
    os.kill(stopped.pid, number)
    os.kill(stopped.pid, signal.SIGCONT)

    error = stopped.wait()

    assert isinstance(error, AudioUndecodableError)
    assert number.name in error.detail
    assert deaths.count == before + 1
    (record,) = [each for each in caplog.records if hasattr(each, "cause")]
    assert vars(record)["cause"] == number.name
    assert outcome(pool, WAV) == outcome(decode_blocks, WAV)


def test_a_decoder_that_died_between_files_costs_no_file(pool: DecoderPool, deaths: Deaths) -> None:
    before = deaths.count
    outcome(pool, WAV)
    for pid in idle(pool):
        os.kill(pid, signal.SIGKILL)
        wait_for_state(pid, "Z")
    assert outcome(pool, WAV) == outcome(decode_blocks, WAV)
    assert deaths.count == before


def test_a_decoder_is_ended_at_the_deadline(pool: DecoderPool, deaths: Deaths) -> None:
    before, deadline = deaths.count, Deadline()
    deadline.begin(0.2)
    stopped = Stopped(pool, deadline)
    assert isinstance(stopped.wait(), DeadlineError)
    assert not Path(f"/proc/{stopped.pid}").exists()
    assert deaths.count == before


def test_a_decoder_is_ended_when_the_client_leaves(pool: DecoderPool) -> None:
    deadline = Deadline()
    stopped = Stopped(pool, deadline)
    deadline.abandon()
    assert isinstance(stopped.wait(), ClientDisconnectedError)
    assert not Path(f"/proc/{stopped.pid}").exists()


def test_a_file_that_is_not_decoded_to_its_end_ends_its_decoder(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    outcome(pool, WAV)
    pid = idle(pool)[-1]
    blocks = pool(io.BytesIO(data), sample_rate=16_000, limits=LIMITS, deadline=Deadline())
    next(blocks)
    blocks.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_decoder_is_replaced_after_a_faulty_file(pool: DecoderPool) -> None:
    outcome(pool, WAV)
    pid = idle(pool)[-1]
    outcome(pool, b"RIFF0000WAVEjunk")
    assert pid not in idle(pool)
    assert not Path(f"/proc/{pid}").exists()


def test_a_decoder_is_replaced_after_many_files(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_pool, "MAX_FILES", 3)
    seen = set()
    for _ in range(12):
        outcome(pool, WAV)
        seen.update(idle(pool))
    assert len(seen) >= 4


def test_messages_of_libraries_become_a_field_of_one_log_line(
    pool: DecoderPool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    run(pool, decoder_corpus.damaged_mp3())
    (record,) = [each for each in caplog.records if hasattr(each, "decoder_messages")]
    messages = vars(record)["decoder_messages"]
    assert messages
    assert any("MPEG" in message or "libmpg123" in message for message in messages)
    assert record.levelno == logging.INFO
    assert capfd.readouterr().err == ""


def test_a_decoder_has_only_its_own_descriptors(pool: DecoderPool) -> None:
    outcome(pool, WAV)
    for pid in idle(pool):
        descriptors = {
            each.name: str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()
        }
        assert set(descriptors) == {"0", "1", "2", "3"}
        assert descriptors["0"] == descriptors["1"] == "/dev/null"
        assert descriptors["2"].startswith("pipe:")
        assert descriptors["3"].startswith("socket:")


def test_decoders_start_again_after_their_server_was_killed(deaths: Deaths) -> None:
    pool = DecoderPool(1, deadline_s=60, on_death=deaths)
    pool.wait_ready()
    before = deaths.count
    stopped = Stopped(pool)
    os.kill(pool._server._process.pid, signal.SIGKILL)
    blocks, _ = stopped.wait()  # the file is decoded again, since it was not its fault
    assert [block.tobytes() for block in blocks] == outcome(decode_blocks, WAV)[0]
    assert deaths.count == before
    assert outcome(pool, WAV) == outcome(decode_blocks, WAV)
    pool.close()


def test_a_file_is_decoded_again_though_all_decoders_end_with_their_server(deaths: Deaths) -> None:
    """Its decoder ends after it got the file, and so do the decoders that would be next."""
    pool = DecoderPool(3, deadline_s=60, on_death=deaths)
    pool.wait_ready()
    before = deaths.count
    for pid in idle(pool):
        os.kill(pid, signal.SIGSTOP)  # it takes a file and gives no answer
        wait_for_state(pid, "T")
    stopped = Stopped(pool, warm=False)
    os.kill(pool._server._process.pid, signal.SIGKILL)
    blocks, _ = stopped.wait()
    assert [block.tobytes() for block in blocks] == outcome(decode_blocks, WAV)[0]
    assert deaths.count == before
    pool.close()


def test_a_server_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = DecoderPool(1, deadline_s=60)
    pool.wait_ready()
    stopped = pool._server._process.pid
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr("service.audio.fork_server.ANSWER_S", 0.3)
    blocks = pool(io.BytesIO(WAV), sample_rate=16_000, limits=LIMITS, deadline=Deadline())
    assert outcome(pool, b"RIFF")[0] is AudioUndecodableError  # its decoder cannot be ended
    monkeypatch.undo()
    assert [block.tobytes() for block in blocks] == outcome(decode_blocks, WAV)[0]
    assert pool._server._process.pid != stopped
    pool.close()


def test_without_processes_a_request_is_told_to_come_again(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise ForkServerError("Resource temporarily unavailable")

    outcome(pool, WAV)
    kept, pool._idle = pool._idle, []
    monkeypatch.setattr(pool._server, "fork", refuse)
    with pytest.raises(OverloadError, match="try again"):
        run(pool, WAV)
    monkeypatch.undo()
    pool._idle = kept
    assert outcome(pool, WAV) == outcome(decode_blocks, WAV)


def test_closing_ends_all_processes() -> None:
    pool = DecoderPool(2, deadline_s=60)
    pool.wait_ready()
    pids = [*idle(pool), pool._server._process.pid]
    pool.close()
    pool.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
