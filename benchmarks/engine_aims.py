"""Aims of the engine beside the measured values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from report import steps


class Aim(NamedTuple):
    """An aim, the measured value with its format, and whether the value reaches the aim."""

    subject: str
    aim: str
    value: float
    form: str
    reached: bool


def aims(found: dict[str, Any]) -> list[Aim]:
    """Compare the results files, by their names, with the aims."""
    groups = (_serving, _peers, _long_file, _index, _variants, _burst, _text, _steps)
    return [aim for group in groups for aim in group(found)]


def _serving(found: dict[str, Any]) -> Iterator[Aim]:
    for name, figures in found["serving"]["summary"].items():
        share = figures["saturated_share_of_bare_loop"]
        subject = f"saturated, of the bare loop, {name}"
        yield Aim(subject, "at least 90%", share, "{:.0%}", share >= 0.9)
        over_ms = figures["lone_request_over_decode_and_run_ms"]
        subject = f"a single request over the bare loop, {name}"
        yield Aim(subject, "at most 5 ms", over_ms, "{:.1f} ms", over_ms <= 5)
        ratio = figures["p99_over_p50_at_16_clients"]
        yield Aim(f"p99 over p50 at 16 clients, {name}", "at most 3", ratio, "{:.1f}", ratio <= 3)


def _peers(found: dict[str, Any]) -> Iterator[Aim]:
    ratios: dict[str, dict[str, float]] = found["peers"]["ratios"]
    for key in ("throughput", "p99 at 16 clients", "p99 at 64 clients"):
        nearest = min(ratios, key=lambda peer: ratios[peer][key])
        least = ratios[nearest][key]
        yield Aim(
            f"{key} against {nearest}, the nearest", "more than 1", least, "{:.3f}", least > 1
        )


def _long_file(found: dict[str, Any]) -> Iterator[Aim]:
    hour = found["long_file"]["files"]["3600 s"]
    over, times = hour["over_idle_mb"], hour["times_real_time"]
    yield Aim("an hour, over idle memory", "at most 300 MB", over, "{:.0f} MB", over <= 300)
    yield Aim("an hour, over real time", "at least 150 times", times, "{:.0f} times", times >= 150)
    deviation = found["long_file"]["pieces_deviate_from_whole"]
    yield Aim("chunks against the whole", "at most 1e-4", deviation, "{:.1g}", deviation <= 1e-4)


def _index(found: dict[str, Any]) -> Iterator[Aim]:
    ours = [row for row in found["index"]["rows"] if row["index"] == "ours"]
    row = max(ours, key=lambda row: int(row["vectors"]))
    p50_ms, recall, size = row["p50_ms"], row["recall_at_10"], row["bytes_per_vector"]
    subject = f"search in {row['vectors']:,} vectors, p50"
    yield Aim(subject, "under 3 ms", p50_ms, "{:.2f} ms", p50_ms <= 3)
    yield Aim("its recall at 10", "at least 0.98", recall, "{:.4f}", recall >= 0.98)
    yield Aim("its memory a vector", "at most 1200 B", size, "{:.0f} B", size <= 1200)
    slowest = min(row["stored_per_s"] for row in found["library"]["rows"])
    yield Aim("embeddings stored", "1,000 per s", slowest, "{:.0f} per s", slowest >= 1000)


def _variants(found: dict[str, Any]) -> Iterator[Aim]:
    clip = found["precision"]["times_as_fast_as_float32"]["one clip of 5 s"]
    fastest = max(clip, key=lambda name: float(clip[name]["ratio"]))
    ratio = clip[fastest]["ratio"]
    yield Aim(f"{fastest} over float32", "at least 1.6", ratio, "{:.2f}", ratio >= 1.6)
    share = found["front_end"]["front_end_of_the_rest"]
    subject = "the log-mel, of the rest of the encoder"
    yield Aim(subject, "at most a tenth", share, "{:.1%}", share <= 0.1)


def _burst(found: dict[str, Any]) -> Iterator[Aim]:
    burst = found["burst"]
    times, p99_s, deadline_s = (
        burst[key] for key in ("sent_times_capacity", "accepted_p99_s", "deadline_s")
    )
    yield Aim("burst, sent", "20 times capacity", times, "{:.1f} times", round(times) >= 20)
    aim = f"under {deadline_s:g} s"
    yield Aim("burst, p99 of the accepted", aim, p99_s, "{:.1f} s", p99_s <= deadline_s)
    statuses = burst["burst"]["statuses"]
    others = sum(n for status, n in statuses.items() if status not in {"200", "503", "not sent"})
    yield Aim("burst, neither answered nor refused", "none", others, "{:.0f}", not others)
    after_s = math.inf if burst["normal_after_s"] is None else burst["normal_after_s"]
    yield Aim("burst, normal again", "within 2 s", after_s, "{:.1f} s", after_s <= 2)


def _text(found: dict[str, Any]) -> Iterator[Aim]:
    text_ms = found["modifier"]["by_stored_clip"]["new_text_adds_ms"]
    yield Aim("a new text in a search", "at most 10 ms", text_ms, "{:.1f} ms", text_ms <= 10)


def _steps(found: dict[str, Any]) -> Iterator[Aim]:
    for step, figures in steps(found["training_step"]).items():
        share = figures["share_of_arithmetic_limit"]
        subject = f"training step, {step}, of the limit"
        yield Aim(subject, "at least 80%", share, "{:.0%}", share >= 0.8)
