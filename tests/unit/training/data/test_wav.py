from __future__ import annotations

from pathlib import Path

import numpy as np
import synth

from service.audio.decoding import decode
from training.data.wav import FULL_SCALE, to_int16, write_wav


def test_a_written_file_is_read_back_to_half_a_step(tmp_path: Path) -> None:
    tone = synth.tone(440.0, 0.3)
    write_wav(tmp_path / "tone.wav", to_int16(tone), 16_000)
    read = decode(tmp_path / "tone.wav", sample_rate=16_000)
    assert read.source_rate_hz == 16_000
    assert np.abs(read.samples * 32768 - tone * FULL_SCALE).max() <= 0.51


def test_samples_over_full_scale_are_clipped_not_wrapped() -> None:
    assert to_int16(np.array([2.0, -2.0, 1.0], np.float32)).tolist() == [32767, -32767, 32767]
