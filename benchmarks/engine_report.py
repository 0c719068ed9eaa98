"""Renders ``docs/results/engine.md`` and its plots from the results files of the engine.

    python benchmarks/engine_report.py [FOLDER]

Every figure on that page stands in one of the files it names.
"""

from __future__ import annotations

import engine_tables as tables
import results
from engine_aims import aim_rows
from engine_plots import COST, QUERIES, draw_cost, draw_queries
from engine_processors import processors_table
from report import read

NAMES = (
    "burst",
    "front_end",
    "index",
    "library",
    "long_file",
    "modifier",
    "peers",
    "precision",
    "serving",
    "training_step",
    "tuning",
)

PAGE = """# The engine

Made by `make bench-engine` from the files beside this page; each names its command, its commit
and the machine, which is shared with others: read ratios, which compare what ran in turns within
one run, and not absolute times.

{machines}

## What was aimed at

| | aim | measured |
|---|---|---|
{aims}

## The service beside a bare loop

`/embed` of clips of 5 s, raw bodies, npy answers, no cache; beside a loop in one process that
decodes the same clips and runs the same graph, with nothing around it, while another process
takes as much of a core as the load generator took. [serving.json](serving.json)

{serving}

Clips of other lengths, 16 clients, float32, as a share of the bare loop: {by_clips}.

## Beside other servers

The same float32 graph, clips and machine; each with a worker for each core and tuned as its
documentation says. Ours over theirs, so that more than 1 is in our favour; "p99" is theirs over
ours with as many clients. [peers.json](peers.json)

{peers}

## By processor

What is around the encoder weighs more where it is faster, and so does what is around the matrix
products of a training step. The latest measurement on each processor, as it names itself, with
the last of its instructions that count here, and of the code of then. Each file names its commit;
those of other processors than the last one are in [processors](processors).

{processors}

## What a clip costs by its length

![Cost by length]({cost})

One request at a time, {precision} arithmetic. An hour took {hour[took_s]:.1f} s,
{hour[times_real_time]:.0f} times faster than real time, and {hour[over_idle_mb]:.0f} MB over
idle memory; with windows of 10 s every 5 s {windows[took_s]:.1f} s and
{windows[over_idle_mb]:.0f} MB. Three minutes in pieces deviate from the graph's answer to them
in one run by {deviation:.2g} of its largest value. [long_file.json](long_file.json)

## Precision

Processor time on one thread, in turns. What each variant costs in quality is judged at export,
by differences over 500 held-out pairs, the rank of what was added, and Background-known ESC-50.
[precision.json](precision.json)

{variants}

The log-mel takes {front_end:.1%} of the time of the rest of the encoder.
[front_end.json](front_end.json)

## A burst

{burst[sent_times_capacity]:.0f} times as many requests as can be answered for
{burst[burst][sent_in_s]:.0f} s, clips of {burst[clip_s]:.0f} s at {burst[clip_rate_hz]:,} Hz
in float32, with a deadline of
{burst[deadline_s]:.0f} s. Answers: {statuses}. The accepted ones had a p99 of
{burst[accepted_p99_s]:.1f} s. Memory was {burst[memory_mb][before]:.0f} MB before,
{burst[memory_mb][peak]:.0f} MB at most and {burst[memory_mb][after]:.0f} MB after. {normal}
[burst.json](burst.json)

## The index

{index_dim} dimensions, one query at a time on one thread; vectors are those of real scenes and
points between them with noise, queries are clips composed with texts. Recall is against all
inner products in float32. Ours compares all vectors up to {exact_below:,}, and beyond that
ranks in half precision what one bit of each dimension finds. Bytes a vector are what the process
grew by: small indexes lie in memory that it had already. [index.json](index.json)

{index}

![Query time by size]({queries})

Through the API, embeddings of {library_dim} values in base64, each answer durable on the disk,
one client uploading and another searching with a text. [library.json](library.json)

{library}

## A search with a text

A text that was never seen adds {modifier[new_text_adds_ms]:.1f} ms to a search like a stored
clip (median {modifier[median_ms][without]:.1f} ms without), one that was seen
{modifier[known_text_adds_ms]:.1f} ms. [modifier.json](modifier.json)

## Settings of the sessions

What `minuend tune` measured and chose here: the thriftiest of those within 3% of the best.
[tuning.json](tuning.json)

{tuning}
"""


def main() -> None:
    """Draw the plots and render the page."""
    folder = results.page_folder()
    found = {name: read(name) for name in NAMES}
    files = found["long_file"]["files"]
    draw_cost(folder / COST, files.values())
    draw_queries(folder / QUERIES, found["index"]["rows"])
    shares = found["serving"]["summary"]["fp32"]["share_by_clips"]
    page = PAGE.format(
        machines=tables.machines(found),
        aims="\n".join(aim_rows(found)),
        serving=tables.serving_table(found["serving"]),
        by_clips=", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        peers=tables.peers_table(found["peers"]),
        processors=processors_table(),
        cost=COST,
        precision=found["long_file"]["precision"],
        hour=files["3600 s"],
        windows=found["long_file"]["with_windows"],
        deviation=found["long_file"]["pieces_deviate_from_whole"],
        variants=tables.variants_table(found["precision"]),
        front_end=found["front_end"]["front_end_of_the_rest"],
        burst=found["burst"],
        statuses=tables.statuses(found["burst"]["burst"]["statuses"]),
        normal=tables.normal(found["burst"]["normal_after_s"]),
        index_dim=found["index"]["dim"],
        exact_below=found["index"]["exact_below"],
        index=tables.index_table(found["index"]["rows"]),
        queries=QUERIES,
        library_dim=found["library"]["dim"],
        library=tables.library_table(found["library"]["rows"]),
        modifier=found["modifier"]["by_stored_clip"],
        tuning=tables.tuning_table(found["tuning"]),
    )
    (folder / "engine.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
