from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import write_backgrounds, write_corpora, write_esc50

from service.audio.decoding import decode
from training.data.loudness import loudness
from training.datasets.bgknown import MANIFEST, PARTS, make_bgknown, read_rows, read_summary
from training.datasets.metadata import split_sources
from training.datasets.sides import find_sides
from training.errors import DatasetError

RATE = 16_000


def read(folder: Path, part: str, row: dict[str, str]) -> np.ndarray:
    audio = decode(folder / part / f"{row['name']}.wav", sample_rate=RATE)
    assert audio.source_rate_hz == RATE
    return audio.samples


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    manifest = write_corpora(folder)
    return make_bgknown(find_sides(manifest, manifest), folder / "bgknown", seed=1)


def test_every_event_is_there_with_all_its_draws(made: Path) -> None:
    rows = read_rows(made)
    assert len(rows) == len({row["event"] for row in rows}) == 10
    assert {(row["side"], row["fold"]) for row in rows} == {
        *(("train", fold) for fold in "123"),
        *(("test", fold) for fold in "45"),
    }
    assert all(0.0 <= float(row["snr_lu"]) <= 3.0 for row in rows)
    for part in PARTS:
        assert len(list((made / part).iterdir())) == 10


def test_no_source_is_on_both_sides(made: Path) -> None:
    found = {"train": frozenset[str](), "test": frozenset[str]()}
    for row in read_rows(made):
        found[row["side"]] |= split_sources(row["sources"])
    assert found["train"]
    assert found["test"]
    assert found["train"].isdisjoint(found["test"])


def test_levels_of_the_files_are_those_drawn(made: Path) -> None:
    for row in read_rows(made):
        mixture, a = read(made, "mixture", row), read(made, "a", row)
        assert loudness(a, RATE) == pytest.approx(-30.0, abs=0.1)
        event = loudness(mixture - a, RATE)
        assert event - loudness(a, RATE) == pytest.approx(float(row["snr_lu"]), abs=0.1)


def test_references_overlap_by_all_half_and_nothing_to_the_sample(made: Path) -> None:
    half = 5 * RATE // 2
    for row in read_rows(made):
        a, b, c = (read(made, part, row) for part in "abc")
        assert a.size == b.size == c.size == 2 * half
        later, earlier = (b, a) if int(row["start_b"]) > int(row["start_a"]) else (a, b)
        assert np.array_equal(earlier[half:], later[:half])
        assert not np.array_equal(earlier[:half], later[half:])
        assert abs(int(row["start_c"]) - int(row["start_a"])) >= 2 * half


def test_it_depends_on_the_sources_and_the_seed_only(made: Path, tmp_path: Path) -> None:
    manifest = made.parent / "manifest.csv"
    sides = find_sides(manifest, manifest)
    same = make_bgknown(sides, tmp_path / "same", seed=1)
    assert (same / MANIFEST).read_bytes() == (made / MANIFEST).read_bytes()
    other = make_bgknown(sides, tmp_path / "other", seed=2)
    assert (other / MANIFEST).read_bytes() != (made / MANIFEST).read_bytes()
    with pytest.raises(DatasetError, match="is there already"):
        make_bgknown(sides, made, seed=1)


def test_the_summary_counts_the_recordings(made: Path) -> None:
    summary = read_summary(made)
    assert summary["mixed_at_hz"] == RATE
    assert summary["sides"]["train"] == {
        "events": 6,
        "background_files": 4,
        "background_recordings": 4,
        "with_replacement": True,
    }
    assert summary["sides"]["test"]["background_recordings"] == 2


def test_sources_of_44100_hz_are_mixed_at_that_rate_and_resampled(tmp_path: Path) -> None:
    events = write_esc50(tmp_path / "esc", per_fold=1, rate=44_100)
    dev = write_backgrounds(tmp_path / "dev", 3, rate=44_100)
    held = write_backgrounds(tmp_path / "eval", 2, rate=44_100, first=3)
    folder = make_bgknown(find_sides(events, dev, held), tmp_path / "out", seed=0)
    summary = read_summary(folder)
    assert summary["mixed_at_hz"] == 44_100
    assert not summary["sides"]["train"]["with_replacement"]
    assert not summary["sides"]["test"]["with_replacement"]
    half = 5 * RATE // 2
    for row in read_rows(folder):
        a, b = read(folder, "a", row), read(folder, "b", row)
        later, earlier = (b, a) if int(row["start_b"]) > int(row["start_a"]) else (a, b)
        inner = slice(200, -200)  # the resampler uses samples beyond the end of an excerpt
        deviation = np.abs(earlier[half:][inner] - later[:half][inner]).max()
        assert deviation < 1e-3 * np.abs(a).max()


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data bgknown"):
        read_rows(tmp_path)
