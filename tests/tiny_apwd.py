"""A small release in the format of APwD for tests: our own JAMS files and their sources."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import synth

SAMPLE_RATE = 44_100
REFERENCE_LUFS = -30.0
BACKGROUNDS = ("101.wav", "102.wav", "103.wav")
EVENTS = {"dog": "5-1-A-0.wav", "thunder": "1-2-A-19.wav", "birds": "3-3-A-14.wav"}

Value = dict[str, object]
Pair = tuple[list[Value], list[Value]]


def background(file: str, source_time_s: float) -> Value:
    """Describe an excerpt of 10 s of a background."""
    return _value("background", "rain", file, source_time_s, duration_s=10.0)


def more(file: str, source_time_s: float, snr_db: float) -> Value:
    """Describe an extra excerpt of the background."""
    return _value("foreground", "rain", file, source_time_s, duration_s=10.0, snr_db=snr_db)


def event(label: str, onset_s: float, snr_db: float, *, duration_s: float = 1.0) -> Value:
    """Describe an event."""
    value = _value("foreground", label, EVENTS[label], 0.0, duration_s=duration_s, snr_db=snr_db)
    return value | {"event_time": onset_s}


def pairs() -> list[Pair]:
    """List pairs with every kind of change."""
    first = [background("101.wav", 1.0), background("102.wav", 2.0)]
    again = [background("101.wav", 6.0), background("102.wav", 7.5)]
    other = [background("103.wav", 0.5), background("102.wav", 3.0)]
    return [
        (first, [*again, event("dog", 2.0, 6.0)]),
        ([*first, event("thunder", 1.0, 9.0)], again),
        ([*first, event("birds", 1.0, -2.0)], [*again, event("birds", 4.0, 8.0)]),
        (
            [*first, event("dog", 1.0, 8.0), more("103.wav", 2.0, 7.0)],
            [*again, event("dog", 3.0, 1.0)],
        ),
        (other, [*other, more("101.wav", 4.0, 5.0), event("thunder", 8.5, 11.0)]),
    ]


def write(folder: Path, content: list[Pair] | None = None) -> Path:
    """Write JAMS files and sources, and return the folder of the JAMS files."""
    for i, file in enumerate(BACKGROUNDS):
        waveform = synth.noise(i, 6.0 + 9 * i, sample_rate=SAMPLE_RATE)
        synth.write(folder / "fsd50k" / "deep" / file, waveform, sample_rate=SAMPLE_RATE)
    for i, file in enumerate(EVENTS.values()):
        burst = synth.tone(700.0 * (i + 1), 1.5, sample_rate=SAMPLE_RATE)
        waveform = np.concatenate([synth.silence(1.0, sample_rate=SAMPLE_RATE), burst])
        synth.write(folder / "esc50" / "audio" / file, waveform, sample_rate=SAMPLE_RATE)
    for index, clips in enumerate(pairs() if content is None else content):
        for side, values in zip(("s1", "s2"), clips, strict=True):
            write_jams(folder / "jams" / f"apwd_rain_sc_eval_{index:03}_{side}.jams", values)
    return folder / "jams"


def write_jams(path: Path, values: list[Value], **scaper: object) -> None:
    """Write one JAMS file with the fields that Scaper writes."""
    settings = {"ref_db": REFERENCE_LUFS, "sr": SAMPLE_RATE, "duration": 10.0, "n_channels": 1}
    data = [
        {"time": v["event_time"], "duration": v["event_duration"], "value": v, "confidence": 1.0}
        for v in values
    ]
    annotation = {
        "namespace": "scaper",
        "data": data,
        "annotation_metadata": {"version": "1.6.5"},
        "sandbox": {"scaper": settings | {"fade_in_len": 0.01} | scaper},
    }
    content = {
        "annotations": [annotation],
        "file_metadata": {"duration": 10.0, "jams_version": "0.3.4"},
        "sandbox": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _value(
    role: str,
    label: str,
    file: str,
    source_time_s: float,
    *,
    duration_s: float,
    snr_db: float = 0.0,
) -> Value:
    return {
        "label": label,
        "source_file": f"source/eval/{role}/{label}/{file}",
        "source_time": source_time_s,
        "event_time": 0.0,
        "event_duration": duration_s,
        "snr": snr_db,
        "role": role,
        "pitch_shift": None,
        "time_stretch": None,
    }
