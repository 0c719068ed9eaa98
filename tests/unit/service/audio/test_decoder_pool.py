from __future__ import annotations

import io
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import decoder_corpus
import numpy as np
import pytest
import synth

from service.audio import decoder_pool
from service.audio.decoder import DecodedSource, Decoder, decode_blocks, decode_whole
from service.audio.decoder_child import readable_descriptor
from service.audio.decoder_pool import DecoderPool
from service.audio.decoding import AudioLimits
from service.audio.fork_server import ForkServerError
from service.concurrency.deadline import ClientDisconnectedError, Deadline
from service.errors import (
    AudioError,
    AudioUndecodableError,
    DeadlineError,
    OverloadError,
    SamplesTooManyError,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")

LIMITS = AudioLimits(max_seconds=60, max_samples=1_000_000)
WAV = synth.encode(synth.noise(1, 0.5), subtype="PCM_16")
WAIT_S = 20


class Deaths:
    """Counts the decoders that ended while they decoded."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture(scope="module")
def deaths() -> Deaths:
    return Deaths()


@pytest.fixture(scope="module")
def pool(deaths: Deaths) -> Iterator[DecoderPool]:
    pool = DecoderPool(2, deadline_s=60, on_death=deaths)
    pool.wait_ready()
    yield pool
    pool.close()


def run(
    decoder: Decoder,
    source: BinaryIO | bytes,
    deadline: Deadline | None = None,
    limits: AudioLimits = LIMITS,
) -> tuple[list[np.ndarray], DecodedSource]:
    """Decode a file; return its blocks and its source."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    blocks = decoder(file, sample_rate=16_000, limits=limits, deadline=deadline or Deadline())
    found: list[np.ndarray] = []
    while True:
        try:
            found.append(next(blocks))
        except StopIteration as end:
            return found, end.value


def outcome(decoder: Decoder, data: bytes, limits: AudioLimits = LIMITS) -> Any:
    """Return all that decoding a file gives: bits of each block and the source, or the error."""
    try:
        blocks, source = run(decoder, data, limits=limits)
    except AudioError as error:
        return type(error), error.detail
    return [block.tobytes() for block in blocks], source


def idle(pool: DecoderPool) -> list[int]:
    """Return the process ids of the decoders that are kept, the next one last."""
    return [child._pid for child in pool._idle]


def wait_for_state(pid: int, state: str) -> None:
    end = time.monotonic() + WAIT_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != state:
        assert time.monotonic() < end
        time.sleep(0.005)


class Stopped:
    """A decode that cannot go on, since its process is stopped; continued on leaving."""

    def __init__(self, pool: DecoderPool, deadline: Deadline | None = None) -> None:
        run(pool, WAV)
        child = pool._idle[-1]
        self.pid = child._pid
        os.kill(self.pid, signal.SIGSTOP)
        wait_for_state(self.pid, "T")
        self.result: Any = None
        is_given, give = threading.Event(), child.give

        def give_and_tell(*options: Any) -> bool:
            was_given = give(*options)
            is_given.set()
            return was_given

        child.give = give_and_tell  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._run, args=(pool, deadline))
        self._thread.start()
        assert is_given.wait(WAIT_S)

    def _run(self, pool: DecoderPool, deadline: Deadline | None) -> None:
        try:
            self.result = run(pool, WAV, deadline)
        except Exception as error:
            self.result = error

    def wait(self) -> Any:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return self.result


@pytest.mark.parametrize("name", decoder_corpus.names())
def test_every_format_gives_the_bits_of_a_thread(pool: DecoderPool, name: str) -> None:
    data = decoder_corpus.make(name)
    blocks, _ = found = outcome(pool, data)
    assert found == outcome(decode_blocks, data)
    assert sum(map(len, blocks)) > 10_000


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("name", ["WAV-PCM_16", "FLAC-PCM_24", "OGG-VORBIS"])
def test_long_files_give_the_blocks_of_a_thread(pool: DecoderPool, name: str, rate: int) -> None:
    data = decoder_corpus.make(name, 20.0, rate)
    blocks, _ = found = outcome(pool, data)
    assert found == outcome(decode_blocks, data)
    assert len(blocks) >= 2


def test_faulty_files_give_the_errors_of_a_thread(pool: DecoderPool) -> None:
    generator = np.random.default_rng(0)
    faulty = [b"", b"x", b"RIFF", WAV[:40], WAV[:-100], synth.encode(np.zeros(0)), b"\xff\xfb" * 99]
    faulty.append(synth.encode(np.full(100, np.nan), subtype="FLOAT"))
    faulty.append(synth.encode(np.zeros((100, 9))))
    faulty.append(synth.encode(np.zeros(100), sample_rate=3999))
    faulty += [
        data[: generator.integers(1, len(data))] + generator.bytes(200)
        for data in map(decoder_corpus.make, decoder_corpus.names()[::2])
    ]
    found = [outcome(pool, data) for data in faulty]
    assert found == [outcome(decode_blocks, data) for data in faulty]
    assert len({kind for kind, _ in found if isinstance(kind, type)}) >= 6


@pytest.mark.parametrize("limits", [AudioLimits(0.4, 10**6), AudioLimits(60, 7_999)])
def test_limits_apply(pool: DecoderPool, limits: AudioLimits) -> None:
    found = outcome(pool, WAV, limits)
    assert found == outcome(decode_blocks, WAV, limits)
    assert isinstance(found[0], type)


def test_a_file_on_a_disk_is_read_by_its_descriptor_and_not_moved(pool: DecoderPool) -> None:
    expected = outcome(decode_blocks, WAV)[0]
    with tempfile.TemporaryFile() as file:
        file.write(WAV)
        blocks, _ = run(pool, cast(BinaryIO, file))
        assert [block.tobytes() for block in blocks] == expected
        assert file.tell() == 0
        assert file.read() == WAV
    with tempfile.SpooledTemporaryFile(max_size=10**6) as upload:
        upload.write(WAV)
        blocks, _ = run(pool, cast(BinaryIO, upload))
        assert [block.tobytes() for block in blocks] == expected
        assert not upload._rolled  # it is not written to a disk for its descriptor


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_decoder_gets_a_descriptor_that_it_cannot_write(tmp_path: Path, in_memory: bool) -> None:
    path = tmp_path / "upload"
    path.write_bytes(WAV)
    with path.open("r+b") as file:
        source = io.BytesIO(WAV) if in_memory else file
        with readable_descriptor(source) as descriptor:
            assert os.pread(descriptor, 10**6, 0) == WAV
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(descriptor, b"x")


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


def test_many_files_are_open_at_once_and_few_decoders_are_kept(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    opened = [
        pool(io.BytesIO(data), sample_rate=16_000, limits=LIMITS, deadline=Deadline())
        for _ in range(6)
    ]
    blocks = [[next(each)] for each in opened]
    for found, each in zip(blocks, opened, strict=True):
        found += list(each)
    expected, _ = outcome(decode_blocks, data)
    assert all([block.tobytes() for block in found] == expected for found in blocks)
    assert len(idle(pool)) == 2


def test_threads_share_the_pool(pool: DecoderPool) -> None:
    files = [decoder_corpus.make(name) for name in decoder_corpus.names()[::6]]
    expected = [outcome(decode_blocks, data) for data in files]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            assert list(threads.map(lambda data: outcome(pool, data), files)) == expected


def test_messages_of_libraries_become_a_field_of_one_log_line(
    pool: DecoderPool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    run(pool, damaged_mp3())
    (record,) = [each for each in caplog.records if hasattr(each, "decoder_messages")]
    messages = vars(record)["decoder_messages"]
    assert messages
    assert any("MPEG" in message or "libmpg123" in message for message in messages)
    assert record.levelno == logging.INFO
    assert capfd.readouterr().err == ""


def damaged_mp3() -> bytes:
    """Make an MP3 whose decoder reports damage and goes on."""
    data = bytearray(decoder_corpus.make("MP3-MPEG_LAYER_III", 1.0))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    return bytes(data)


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


def test_samples_of_all_blocks_count(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    with pytest.raises(SamplesTooManyError):
        run(pool, data, limits=AudioLimits(60, 300_000))


def test_a_whole_file_is_joined(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    samples, source = decode_whole(
        pool, io.BytesIO(data), sample_rate=16_000, limits=LIMITS, deadline=Deadline()
    )
    assert samples.size == 20 * 16_000
    assert source.duration_s == 20
