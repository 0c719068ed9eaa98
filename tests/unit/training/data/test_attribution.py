from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from training.data.attribution import (
    COLUMNS,
    describe_data,
    write_attribution,
    write_encoder_attribution,
)
from training.data.manifest import SourceClip, read_table
from training.data.store import ClipStore


def read(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    return {row["path"]: row for row in rows}


def test_the_data_is_summarised_by_corpus_and_licence(tmp_path: Path) -> None:
    clips = [
        SourceClip(tmp_path, "a.wav", {"corpus": "rain", "licence": "CC0"}),
        SourceClip(tmp_path, "b.wav", {"corpus": "rain", "licence": "CC-BY"}),
        SourceClip(tmp_path, "c.wav", {"corpus": "dogs", "licence": "CC0"}),
        SourceClip(tmp_path, "d.wav", {"corpus": "rain", "licence": "CC0"}),
        SourceClip(tmp_path, "e.wav", {"corpus": "dogs", "licence": ""}),
    ]
    lengths = np.array([16_000, 8_000, 4_000, 16_000, 16_000])
    store = ClipStore(clips, np.zeros(0, np.int16), np.cumsum(lengths) - lengths, lengths)
    dogs, rain = describe_data(store)
    assert (dogs.corpus, dogs.clips, dogs.seconds) == ("dogs", 2, 1.2)
    assert dogs.licences == {"CC0": 1, "not stated": 1}
    assert (rain.corpus, rain.clips, rain.seconds) == ("rain", 3, 2.5)
    assert rain.licences == {"CC0": 2, "CC-BY": 1}


def test_a_folder_without_a_manifest_is_a_corpus_of_unstated_licence(tmp_path: Path) -> None:
    clips = [SourceClip(tmp_path / "field", "a.wav")]
    write_attribution(tmp_path / "out.csv", {"trained": clips}, None)
    row = read(tmp_path / "out.csv")["a.wav"]
    assert tuple(row) == COLUMNS
    assert row["corpus"] == "field"
    assert row["licence"] == "not stated"
    assert row["role"] == "trained"
    assert row["author"] == ""


def test_authors_are_read_from_the_table_of_the_corpus(tmp_path: Path) -> None:
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain/meta.csv").write_text(
        "path,author,licence,title\nx/a.wav,Ann,CC-BY,Drops\nx/b.wav,Bob,CC0,\n", encoding="utf-8"
    )
    columns = {"corpus": "rain", "licence": "CC-BY 4.0"}
    clips = [SourceClip(tmp_path, f"rain/x/{name}.wav", columns) for name in "abc"]
    write_attribution(tmp_path / "out.csv", {"trained": clips[:1], "held out": clips[1:]}, None)
    rows = read(tmp_path / "out.csv")
    first = rows["rain/x/a.wav"]
    assert (first["author"], first["title"], first["role"]) == ("Ann", "Drops", "trained")
    # Columns of the manifest take precedence.
    assert first["licence"] == "CC-BY 4.0"
    assert rows["rain/x/b.wav"]["author"] == "Bob"
    assert rows["rain/x/b.wav"]["role"] == "held out"
    assert rows["rain/x/c.wav"]["author"] == ""


def test_the_clips_of_the_parent_are_listed_too(tmp_path: Path) -> None:
    old = {"trained": [SourceClip(tmp_path, name, {"licence": "CC0"}) for name in ("a", "b")]}
    write_attribution(tmp_path / "old.csv", old, None)
    new = {"held out": [SourceClip(tmp_path, name, {"licence": "CC0"}) for name in ("b", "c")]}
    write_attribution(tmp_path / "new.csv", new, tmp_path / "old.csv")
    rows = read(tmp_path / "new.csv")
    assert set(rows) == {"a", "b", "c"}
    assert rows["a"]["role"] == "trained"
    # It was trained on once, so it stays so.
    assert rows["b"]["role"] == "trained"


def a_store(*clips: SourceClip) -> ClipStore:
    n = len(clips)
    return ClipStore(list(clips), np.zeros(0, np.int16), np.zeros(n, int), np.ones(n, int))


def test_an_encoder_names_its_teacher_and_not_what_only_towers_of_its_parent_heard(
    tmp_path: Path,
) -> None:
    clips = {name: SourceClip(tmp_path, f"{name}.wav") for name in "abcd"}
    parent, out = tmp_path / "parent.csv", tmp_path / "out.csv"
    roles = {"trained": [clips["a"]], "towers": [clips["b"]], "calibration": [clips["c"]]}
    write_attribution(parent, roles, None)
    stores = a_store(clips["d"]), a_store(clips["a"])

    write_encoder_attribution(out, stores, parent, has_teacher=True)
    rows = read_table(out)
    assert {row["path"]: row["role"] for row in rows} == {
        "a.wav": "trained",  # by the parent, though held out now
        "d.wav": "trained",
        "yamnet": "teacher",
    }
    assert [row["licence"] for row in rows if row["role"] == "teacher"] == ["Apache-2.0"]

    write_encoder_attribution(tmp_path / "next.csv", stores, out, has_teacher=False)
    heard = [row["path"] for row in read_table(tmp_path / "next.csv")]
    assert heard.count("yamnet") == 1  # of the parent


def test_an_encoder_without_a_teacher_names_none(tmp_path: Path) -> None:
    stores = a_store(SourceClip(tmp_path, "a.wav")), a_store(SourceClip(tmp_path, "b.wav"))
    write_encoder_attribution(tmp_path / "out.csv", stores, tmp_path / "none", has_teacher=False)
    roles = {row["path"]: row["role"] for row in read_table(tmp_path / "out.csv")}
    assert roles == {"a.wav": "trained", "b.wav": "held out"}
