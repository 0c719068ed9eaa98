"""What the engine aims at, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Aim(NamedTuple):
    """An aim, what was measured, and whether that is enough."""

    what: str
    aim: str
    value: float
    reached: bool
    form: str

    def row(self) -> str:
        """Render a row of the table."""
        missed = "" if self.reached else ", missed"
        return f"| {self.what} | {self.aim} | {self.form.format(self.value)}{missed} |"


def aim_rows(found: dict[str, Any]) -> list[str]:
    """Say of each aim of the engine whether it was reached."""
    aims = [*_serving(found), *_peers(found), *_lengths(found), *_index(found), *_others(found)]
    return [aim.row() for aim in aims]


def _serving(found: dict[str, Any]) -> Iterator[Aim]:
    for name, it in found["serving"]["summary"].items():
        share = it["saturated_share_of_bare_loop"]
        yield Aim(
            f"saturated, of the bare loop, {name}", "at least 90%", share, share >= 0.9, "{:.0%}"
        )
        over_ms = it["lone_request_over_decode_and_run_ms"]
        yield _most(
            f"a lone request over the bare loop, {name}", "at most 5 ms", over_ms, 5, "{:.1f} ms"
        )
        ratio = it["p99_over_p50_at_16_clients"]
        yield _most(f"p99 over p50 at 16 clients, {name}", "at most 3", ratio, 3, "{:.1f}")


def _peers(found: dict[str, Any]) -> Iterator[Aim]:
    ratios: dict[str, dict[str, float]] = found["peers"]["ratios"]
    for key in ("throughput", "p99 at 16 clients", "p99 at 64 clients"):
        name, least = min(((name, it[key]) for name, it in ratios.items()), key=lambda it: it[1])
        yield Aim(f"{key} against {name}, the nearest", "more than 1", least, least > 1, "{:.3f}")


def _lengths(found: dict[str, Any]) -> Iterator[Aim]:
    hour = found["long_file"]["files"]["3600 s"]
    yield _most(
        "an hour, over idle memory", "at most 300 MB", hour["over_idle_mb"], 300, "{:.0f} MB"
    )
    times = hour["times_real_time"]
    yield Aim("an hour, over real time", "at least 150 times", times, times >= 150, "{:.0f} times")
    deviation = found["long_file"]["pieces_deviate_from_whole"]
    yield _most("pieces against the whole", "at most 1e-4", deviation, 1e-4, "{:.1g}")


def _index(found: dict[str, Any]) -> Iterator[Aim]:
    ours = [row for row in found["index"]["rows"] if row["index"] == "ours"]
    row = max(ours, key=lambda row: int(row["vectors"]))
    vectors = f"{row['vectors']:,} vectors"
    yield _most(f"search in {vectors}, p50", "under 3 ms", row["p50_ms"], 3, "{:.2f} ms")
    recall = row["recall_at_10"]
    yield Aim("its recall at 10", "at least 0.98", recall, recall >= 0.98, "{:.4f}")
    yield _most("its memory a vector", "at most 1200 B", row["bytes_per_vector"], 1200, "{:.0f} B")
    slowest = min(row["stored_per_s"] for row in found["library"]["rows"])
    yield Aim("embeddings stored", "1,000 per s", slowest, slowest >= 1000, "{:.0f} per s")


def _others(found: dict[str, Any]) -> Iterator[Aim]:
    clip = found["precision"]["times_as_fast_as_float32"]["one clip of 5 s"]
    name, best = max(clip.items(), key=lambda item: float(item[1]["ratio"]))
    yield Aim(f"{name} over float32", "at least 1.6", best["ratio"], best["ratio"] >= 1.6, "{:.2f}")
    share = found["front_end"]["front_end_of_the_rest"]
    yield _most("the log-mel, of the rest of the encoder", "at most a tenth", share, 0.1, "{:.1%}")
    burst = found["burst"]
    deadline_s = burst["deadline_s"]
    p99_s, after_s = burst["accepted_p99_s"], burst["normal_after_s"]
    times = burst["sent_times_capacity"]
    yield Aim("burst, sent", "20 times capacity", times, round(times) >= 20, "{:.1f} times")
    yield _most(
        "burst, p99 of the accepted", f"under {deadline_s:g} s", p99_s, deadline_s, "{:.1f} s"
    )
    statuses = burst["burst"]["statuses"]
    others = sum(n for status, n in statuses.items() if status not in {"200", "503", "not sent"})
    yield Aim("burst, neither answered nor refused", "none", others, not others, "{:.0f}")
    after_s = float("inf") if after_s is None else after_s
    yield _most("burst, normal again", "within 2 s", after_s, 2, "{:.1f} s")
    text_ms = found["modifier"]["by_stored_clip"]["new_text_adds_ms"]
    yield _most("an unseen text in a search", "at most 10 ms", text_ms, 10, "{:.1f} ms")
    for step, it in steps(found["training_step"]).items():
        share = it["share_of_arithmetic_limit"]
        yield Aim(
            f"training step, {step}, of the limit", "at least 80%", share, share >= 0.8, "{:.0%}"
        )


def steps(training_step: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of each training step by what it is: its loss and its precision."""
    return {
        f"{name.partition(',')[0]}, {it['precision']}": it
        for name, it in training_step.items()
        if isinstance(it, dict) and "share_of_arithmetic_limit" in it
    }


def _most(what: str, aim: str, value: float, most: float, form: str) -> Aim:
    return Aim(what, aim, value, value <= most, form)
