"""Decoders: functions that decode a file block by block, in this thread or in another process.

`decode_blocks` decodes in the thread that calls it. `service.audio.decoder_pool.DecoderPool` does
the same in a child process, and gives the same bits and the same errors.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import AudioLimits, AudioReader, open_audio
from service.audio.levels import InputMeter, InputReading
from service.concurrency.deadline import Deadline


@dataclass(frozen=True, slots=True)
class DecodedSource:
    """The source of a file that was decoded to its end.

    Attributes:
        media_type: Format, e.g. "audio/flac".
        sample_rate_hz: Sample rate [Hz].
        channels: Number of channels.
        duration_s: Length [s].
        reading: Measurements of its samples.
    """

    media_type: str
    sample_rate_hz: int
    channels: int
    duration_s: float
    reading: InputReading


Blocks = Generator[Float32[np.ndarray, " samples"], None, DecodedSource]
"""The mono waveform in blocks; the return value describes the source."""


class Decoder(Protocol):
    """Decodes a file block by block; closing the generator frees the decoder."""

    def __call__(
        self, source: BinaryIO, *, sample_rate: int, limits: AudioLimits, deadline: Deadline
    ) -> Blocks:
        """Yield the mono waveform of a file in blocks, and return what its source is.

        Args:
            source: Seekable binary file; read from its start.
            sample_rate: Rate of the waveform [Hz].
            limits: Limits of the file.
            deadline: Deadline of the request; a decoder in another process is stopped by it.

        Raises:
            AudioError: The file cannot be decoded, or is over a limit.
            ClientDisconnectedError: The client has disconnected.
            DeadlineError: The deadline passed.
        """
        ...


def decode_blocks(
    source: BinaryIO, *, sample_rate: int, limits: AudioLimits, deadline: Deadline
) -> Blocks:
    """Decode a file in this thread; a block is not interrupted by the deadline. See `Decoder`."""
    with open_audio(source, sample_rate=sample_rate, limits=limits) as reader:
        meter = InputMeter(reader.source_rate_hz)
        yield from reader.blocks(meter.add)
    return describe_source(reader, meter)


def describe_source(reader: AudioReader, meter: InputMeter) -> DecodedSource:
    """Describe the source of a reader whose blocks were all read, and measured by `meter`."""
    return DecodedSource(
        media_type=reader.media_type,
        sample_rate_hz=reader.source_rate_hz,
        channels=reader.source_channels,
        duration_s=reader.duration_s,
        reading=meter.reading(),
    )


def decode_whole(
    decoder: Decoder,
    source: BinaryIO,
    *,
    sample_rate: int,
    limits: AudioLimits,
    deadline: Deadline,
) -> tuple[Float32[np.ndarray, " samples"], DecodedSource]:
    """Decode a whole file by a decoder; see `Decoder`."""
    blocks = decoder(source, sample_rate=sample_rate, limits=limits, deadline=deadline)
    joined: list[np.ndarray] = []
    while True:
        try:
            joined.append(next(blocks))
        except StopIteration as end:
            described: DecodedSource = end.value
            return np.concatenate(joined), described
