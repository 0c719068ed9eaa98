from __future__ import annotations

import io
import sys

import pytest
import synth

from service.audio import decoder_pool
from service.audio.decoder import decode_blocks, decode_whole
from service.audio.decoder_choice import DecoderChoice
from service.audio.decoder_pool import DecoderPool
from service.audio.decoding import AudioLimits
from service.audio.fork_server import ForkServerError
from service.concurrency.deadline import Deadline
from service.errors import SettingsError

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


class NoServer:
    """A system on which no process can be started."""

    def __init__(self) -> None:
        raise ForkServerError("no process can be started: out of processes")


class UnconfinedServer:
    """A system that starts the server, and no decoder."""

    def wait_ready(self) -> None:
        raise ForkServerError("a decoder cannot be confined: no")

    def close(self) -> None:
        pass


def choose(mode: str, caplog: pytest.LogCaptureFixture) -> tuple[object, dict[str, object]]:
    """Return the decoder that is chosen, and the fields of the last log line."""
    caplog.set_level("INFO")
    choice = DecoderChoice(mode, 1, deadline_s=60)
    try:
        return choice.choose(), vars(caplog.records[-1])
    finally:
        choice.close()


@linux
@pytest.mark.parametrize("mode", ["auto", "process"])
def test_processes_are_chosen_where_they_are_possible(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    decoder, fields = choose(mode, caplog)
    assert isinstance(decoder, DecoderPool)
    assert fields["decode"] == "process"
    assert isinstance(fields["seccomp"], bool)


def test_threads_are_chosen_if_they_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    decoder, fields = choose("thread", caplog)
    assert decoder is decode_blocks
    assert fields["decode"] == "thread"


@linux
@pytest.mark.parametrize("server", [NoServer, UnconfinedServer])
def test_without_processes_auto_falls_back_and_process_is_refused(
    server: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decoder_pool, "ForkServer", server)
    decoder, _ = choose("auto", caplog)
    assert decoder is decode_blocks
    assert "not possible" in caplog.text
    with pytest.raises(SettingsError, match=r"MINUEND_DECODE=process: .*auto or thread"):
        choose("process", caplog)


def test_other_systems_have_threads(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    decoder, _ = choose("auto", caplog)
    assert decoder is decode_blocks
    with pytest.raises(SettingsError, match="Linux"):
        choose("process", caplog)


@linux
def test_a_decoder_that_gives_wrong_samples_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = synth.encode(synth.noise(0))
    monkeypatch.setattr(decoder_pool, "SILENT_WAV", wrong)
    monkeypatch.setattr(
        decoder_pool, "decode", lambda source, sample_rate: decode_silence(sample_rate)
    )
    decoder, _ = choose("auto", caplog)
    assert decoder is decode_blocks


def decode_silence(sample_rate: int) -> object:
    from service.audio.decoding import decode

    return decode(io.BytesIO(synth.encode(synth.silence())), sample_rate=sample_rate)


@linux
def test_a_chosen_decoder_decodes() -> None:
    choice = DecoderChoice("process", 1, deadline_s=60)
    decoder = choice.choose()
    samples, source = decode_whole(
        decoder,
        io.BytesIO(synth.encode(synth.tone(440))),
        sample_rate=16_000,
        limits=AudioLimits(),
        deadline=Deadline(),
    )
    choice.close()
    assert samples.size == 16_000
    assert source.media_type == "audio/wav"
