"""Render the demo library: `python -m tools.demo_library.render OUT_DIR`.

The repository has its output in `service/cli/demo/clips`, and the demo only reads that. The table
beside it, `clips.csv`, names the clips and has their kinds, titles, durations and descriptions. The
samples are the same at every run. The bytes of an Ogg file are not: each stream has a random serial
number.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import soundfile

from tools.demo_library.sounds import SOUNDS
from tools.demo_library.synthesis.timeline import SAMPLE_RATE, Samples

TABLE = Path(__file__).parents[2] / "service" / "cli" / "demo" / "clips.csv"

COMPRESSION = 0.9
"""Between 0, the largest files, and 1, the smallest."""

CHUNK = 4096
"""Samples per write; libsndfile's Vorbis encoder can crash on one long write."""


def write_ogg(path: Path, samples: Samples) -> None:
    """Write samples as mono Ogg Vorbis."""
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE, 1, "VORBIS", format="OGG", compression_level=COMPRESSION
    ) as file:
        for start in range(0, len(samples), CHUNK):
            file.write(samples[start : start + CHUNK])


@click.command()
@click.argument("out_dir", type=click.Path(file_okay=False, path_type=Path))
def main(out_dir: Path) -> None:
    """Render the clips of the demo's table into OUT_DIR."""
    out_dir.mkdir(parents=True, exist_ok=True)
    with TABLE.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        name = Path(row["file"]).stem
        write_ogg(out_dir / row["file"], SOUNDS[name].render(name, float(row["seconds"])))
    size = sum((out_dir / row["file"]).stat().st_size for row in rows)
    click.echo(f"{len(rows)} clips, {size / 1000:.0f} kB, in {out_dir}")


if __name__ == "__main__":
    main()
