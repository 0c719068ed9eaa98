"""Render the demo library: `python -m tools.demo_library.render OUT_DIR`.

The repository has its output in `service/cli/demo/clips`, and the demo only reads that. The samples
are the same at every run. The bytes of an Ogg file are not: each stream has a random serial number.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import soundfile

from tools.demo_library.sound import Sound, render
from tools.demo_library.sounds import SOUNDS
from tools.demo_library.synthesis.timeline import SAMPLE_RATE, Samples

COLUMNS = ("file", "kind", "title", "seconds", "description")

COMPRESSION = 0.9
"""Between 0, the largest files, and 1, the smallest."""

CHUNK = 4096
"""Samples per write; libsndfile's Vorbis encoder can crash on one long write."""


def file_name(sound: Sound) -> str:
    """Return the name of the clip's file."""
    return f"{sound.name}.ogg"


def write_ogg(path: Path, samples: Samples) -> None:
    """Write samples as mono Ogg Vorbis."""
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE, 1, "VORBIS", format="OGG", compression_level=COMPRESSION
    ) as file:
        for start in range(0, len(samples), CHUNK):
            file.write(samples[start : start + CHUNK])


def write_table(path: Path) -> None:
    """Write the table of all clips as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for sound in SOUNDS:
            row = (file_name(sound), sound.kind, sound.title, sound.seconds, sound.description)
            writer.writerow(row)


@click.command()
@click.argument("out_dir", type=click.Path(file_okay=False, path_type=Path))
def main(out_dir: Path) -> None:
    """Render all clips into OUT_DIR/clips and their table into OUT_DIR/clips.csv."""
    clips = out_dir / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    for sound in SOUNDS:
        write_ogg(clips / file_name(sound), render(sound))
    write_table(out_dir / "clips.csv")
    size = sum((clips / file_name(sound)).stat().st_size for sound in SOUNDS)
    click.echo(f"{len(SOUNDS)} clips, {size / 1000:.0f} kB, in {clips}")


if __name__ == "__main__":
    main()
