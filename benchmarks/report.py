"""Renders ``docs/results/README.md`` from the results files and the default bundle.

    python benchmarks/report.py [FOLDER]

Every figure on that page stands in one of the files it names.
"""

from __future__ import annotations

import json
from typing import Any

import results
from engine_aims import steps

PAGE = """# What was measured

Made by `make bench` and `make bundle` from the files beside this page; each names its command, its
commit and the machine. The machines are small and shared: read ratios, not absolute times.

More: [the engine](engine.md), [searches with text](retrieval.md), [has anything changed?](changed.md), [the paper's experiments](paper.md).

## Differences find what was added

Over all {pairs} ordered pairs A, B of the {clips} demo clips ({kinds} kinds), the mixture A + B is
searched with, A and B themselves left out. How often is the nearest clip of A's kind?

| searched with | nearest is of A's kind |
|---|---|
| the mixture | {mixture:.1%} |
| the mixture minus {weight:g} of B | {difference:.1%} |

That is {ratio:.2f} times as often. [demo_difference.json](demo_difference.json)

On {held_out_pairs} mixtures of {held_out_clips} real clips that were held out of training, the clip
that was added is the nearest of all for {first_0:.1%} of the mixtures themselves, for {first_w:.1%}
with {reference_weight:g} of the reference taken away, and for {first_1:.1%} with all of it.
[bundle.json](../../models/default/bundle.json)

## The shipped encoder's training

{samples:,} samples, recipe `{recipe}`. Over the first and the last tenth of the run, on average:

| | first tenth | last tenth |
|---|---|---|
{training}

`L_byol` and `L_diff` are sums over both directions (0 to 8); the spread is the per-dimension standard
deviation of unit-length embeddings, times the square root of their number: 0 would be collapse.
[metrics.jsonl](../../models/default/metrics.jsonl)

## A training step

`cpu.yaml` at batch 256 on {step_machine}.

| L_diff | samples/s | share of the arithmetic limit | data | augmentation | forward | backward | optimiser |
|---|---|---|---|---|---|---|---|
{steps}

The limit is the rate of the matrix products that the step consists of, in the same precision and
run: {limits}.
{bfloat16}[training_step.json](training_step.json)

## The service

On {service_machine}: ready {ready[median]:.1f} s after its start (median of 5; {ready[min]:.1f} to {ready[max]:.1f}), {memory[median]:.0f} MB
resident when idle. Its environment has {size} MB and {torch} torch. A lone `/embed` of 5 s takes
{http[median]:.0f} ms over HTTP; decoding and encoding the same bytes in process takes {alone[median]:.0f} ms.
[service.json](service.json)
"""

BFLOAT16 = """The aim of 30 and 24 samples/s was set on a processor that multiplies in bfloat16. This one has no such
instructions, and in float32 its ceiling is about {:.0f} and {:.0f} samples/s.
"""


def main() -> None:
    """Render the page."""
    demo, step, service = (read(name) for name in ("demo_difference", "training_step", "service"))
    bundle = json.loads((results.ROOT / "models/default/bundle.json").read_text(encoding="utf-8"))
    variants = steps(step)
    page = PAGE.format(
        **{name: demo[name] for name in ("pairs", "clips", "kinds", "ratio")},
        **demo["nearest_is_of_added_kind"],
        **bundle["scores"],
        weight=demo["reference_weight"],
        reference_weight=bundle["difference"]["reference_weight"],
        samples=bundle["training"]["samples_seen"],
        recipe=bundle["training"]["recipe"]["name"],
        training="\n".join(training_rows()),
        steps="\n".join(step_row(name, variant) for name, variant in variants.items()),
        step_machine=machine(step),
        limits=" and ".join(
            f"{limit:.0f} GFLOP/s in {precision}" for precision, limit in limits(variants).items()
        ),
        bfloat16=""
        if "bf16" in step["hardware"]["instructions"]
        else BFLOAT16.format(
            *(it["matrix_product_gflops"] / it["gflop_per_sample"] for it in variants.values())
        ),
        service_machine=machine(service),
        ready=service["ready_after_s"],
        memory=service["idle_memory_mb"],
        size=service["environment"]["size_mb"],
        torch="has" if service["environment"]["has_torch"] else "no",
        http=service["embed_5_s_clip"]["over_http_ms"],
        alone=service["embed_5_s_clip"]["decode_and_encode_in_process_ms"],
    )
    (results.page_folder() / "README.md").write_text(page, encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """Read a results file."""
    content: dict[str, Any] = json.loads((results.FOLDER / f"{name}.json").read_text("utf-8"))
    return content


def machine(result: dict[str, Any]) -> str:
    """Name the machine of a result."""
    hardware = result["hardware"]
    return f"{hardware['cores']} cores of {hardware['processor']} ({hardware['instructions']})"


def training_rows() -> list[str]:
    """Average the metrics over both ends of the shipped encoder's training."""
    text = (results.ROOT / "models/default/metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    tenth = max(1, len(lines) // 10)
    names = {"byol": "L_byol", "difference": "L_diff", "embedding_std": "spread"}
    return [
        f"| {title} | {mean(lines[:tenth], name):.3f} | {mean(lines[-tenth:], name):.3f} |"
        for name, title in names.items()
    ]


def limits(variants: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the rate of matrix products in each precision, by the one-sided step [GFLOP/s]."""
    return {
        it["precision"]: it["matrix_product_gflops"]
        for name, it in variants.items()
        if name.startswith("one-sided")
    }


def mean(lines: list[dict[str, float]], name: str) -> float:
    """Average one value over lines of metrics."""
    return sum(line[name] for line in lines) / len(lines)


def step_row(name: str, variant: dict[str, Any]) -> str:
    """Render one row of the table of training steps."""
    shares = " | ".join(f"{share:.0%}" for share in variant["share_of_time"].values())
    rate, limit = variant["samples_per_s"], variant["share_of_arithmetic_limit"]
    return f"| {name} | {rate:.1f} | {limit:.0%} | {shares} |"


if __name__ == "__main__":
    main()
