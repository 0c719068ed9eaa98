"""The tables of ``docs/results/engine.md``."""

from __future__ import annotations

from typing import Any

from report import machine


def machines(found: dict[str, Any]) -> str:
    """Say of each machine what was measured on it."""
    names: dict[str, list[str]] = {}
    for name, it in found.items():
        names.setdefault(machine(it), []).append(name)
    return "\n".join(f"- {on}: {', '.join(each)}." for on, each in names.items())


def serving_table(serving: dict[str, Any]) -> str:
    """Render what the service did with each number of clients, the last turn of each precision."""
    lines = [
        "| precision | clients | clips/s | p50 [ms] | p99 [ms] | cores' time a clip [ms] |",
        "|---|---|---|---|---|---|",
    ]
    for precision, turns in serving["turns"].items():
        turn = turns[-1]
        lines += [
            f"| {precision} | {it['clients']} | {it['clips_per_s']:.1f} | {it['p50_ms']:.0f}"
            f" | {it['p99_ms']:.0f} | {it['server_cpu_ms_per_clip']:.1f} |"
            for it in turn["by_clients"]
        ]
        lines += [
            f"| {precision} | bare loop, {way} | {it['clips_per_s']:.1f} | {it['p50_ms']:.0f} |"
            f" | {it['cpu_ms_per_clip']:.1f} |"
            for way, it in turn["bare_loop"]["5 s"].items()
        ]
    return "\n".join(lines)


def peers_table(peers: dict[str, Any]) -> str:
    """Render the ratios to each peer."""
    keys = list(next(iter(peers["ratios"].values())))
    lines = [f"| beside | {' | '.join(keys)} |", f"|---|{'---|' * len(keys)}"]
    for name, ratio in peers["ratios"].items():
        title = f"{name} {peers['versions'].get(name, '')}".strip()
        lines.append(f"| {title} | {' | '.join(f'{value:.2f}' for value in ratio.values())} |")
    return "\n".join(lines)


def variants_table(precision: dict[str, Any]) -> str:
    """Render how fast the variants are and what the gate said of them."""
    batches = precision["times_as_fast_as_float32"]
    lines = [
        f"| | {' | '.join(batches)} | median cosine | first percentile | file [MB] |",
        f"|---|{'---|' * (len(batches) + 3)}",
    ]
    for name, size in precision["file_mb"].items():
        speeds = " | ".join(f"{batch[name]['ratio']:.2f}" for batch in batches.values())
        gate = precision["gate"].get(name)
        cosines = (
            f"{gate['difference_cosine_median']:.4f} | {gate['difference_cosine_p1']:.4f}"
            if gate
            else "1 | 1"
        )
        lines.append(f"| {name} | {speeds} | {cosines} | {size:.1f} |")
    return "\n".join(lines)


def index_table(rows: list[dict[str, Any]]) -> str:
    """Render every index at every size."""
    lines = [
        "| vectors | index | recall at 10 | p50 [ms] | p99 [ms] | built in [s] | bytes a vector |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['vectors']:,} | {row['index']} | {row['recall_at_10']:.4f} | {row['p50_ms']:.2f}"
        f" | {row['p99_ms']:.2f} | {row['build_s']:.1f} | {row['bytes_per_vector']} |"
        for row in rows
    ]
    return "\n".join(lines)


def library_table(rows: list[dict[str, Any]]) -> str:
    """Render what the library took and found at each size."""
    lines = [
        "| clips | stored per s | searches meanwhile: recall at 10, p50 [ms] | index settled after"
        " [s] | alone: recall at 10, p50 [ms] | of that the search [ms] | over idle [MB] |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        meanwhile, alone = row["searches_while_growing"], row["searches_alone"]
        lines.append(
            f"| {row['clips']:,} | {row['stored_per_s']} | {meanwhile['recall_at_10']:.4f},"
            f" {meanwhile['p50_ms']:.1f} | {row['settled_after_s']:.0f}"
            f" | {alone['recall_at_10']:.4f}, {alone['p50_ms']:.1f}"
            f" | {alone['p50_ms_of_the_search_alone']:.1f} | {row['over_idle_mb']:,} |"
        )
    return "\n".join(lines)


def tuning_table(tuning: dict[str, Any]) -> str:
    """Render what was measured for each setting."""
    lines = ["| setting | chosen | measured [ms] | of |", "|---|---|---|---|"]
    for name, choice in tuning["choices"].items():
        took = ", ".join(f"{what}: {ms:.1f}" for what, ms in choice["took_ms"].items())
        lines.append(f"| `{name}` | {choice['value']} | {took} | {choice['what']} |")
    return "\n".join(lines)


def statuses(counts: dict[str, int]) -> str:
    """Say how many answers there were of each kind."""
    return ", ".join(f"{count:,} times {status}" for status, count in sorted(counts.items()))


def normal(after_s: float | None) -> str:
    """Say when all was as before."""
    if after_s is None:
        return "Lone requests were not as fast as before within 5 s."
    return f"A lone request was as fast as before {after_s:.1f} s after it."
