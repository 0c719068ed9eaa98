from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_apwd
from tiny_apwd import background, event, more

from training.errors import DatasetError
from training.scenes.apwd import Release, read_release
from training.scenes.changes import Change
from training.words.grammar import describe_changes


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return read_release(tiny_apwd.write(tmp_path_factory.mktemp("apwd")))


def test_changes_are_recovered_from_the_recipes(release: Release) -> None:
    assert [pair.changes for pair in release.pairs] == [
        (Change("add", "dog"),),
        (Change("remove", "thunderstorm"),),
        (Change("louder", "chirping_birds"),),
        (Change("quieter", "dog"), Change("less", "rain")),
        (Change("add", "thunderstorm"), Change("more", "rain")),
    ]
    rng = np.random.default_rng(0)
    assert all(describe_changes(pair.changes, rng) for pair in release.pairs)


def test_pairs_list_the_sounds_of_their_clips(release: Release) -> None:
    assert (release.kind, release.sample_rate) == ("rain", tiny_apwd.SAMPLE_RATE)
    first, *_, last = release.pairs
    assert [pair.index for pair in release.pairs] == [0, 1, 2, 3, 4]
    assert first.ref_db == tiny_apwd.REFERENCE_LUFS
    assert [b.path for b in first.backgrounds] == ["101.wav", "102.wav"]
    assert [i.source_time_s for i in first.query.items] == [1.0, 2.0]
    assert [i.source_time_s for i in first.target.items] == [6.0, 7.5, 0.0]
    assert [i.role for i in last.target.items] == ["background", "background", "more", "event"]
    assert last.target.items[3].onset_s == 8.5
    assert last.query.labels == ("rain",)
    assert last.target.labels == ("rain", "thunderstorm")


def test_pairs_over_the_same_files_share_a_background_id(release: Release) -> None:
    assert [pair.background_id for pair in release.pairs] == [0, 0, 0, 0, 1]


def test_the_source_of_a_change_is_where_it_is_loudest(release: Release) -> None:
    rows = {pair.index: pair.sources for pair in release.pairs}
    assert [row.path for row in release.events] == sorted(tiny_apwd.EVENTS.values())
    assert [row.fold for row in release.events] == [1, 3, 5]
    for index, label, file in (
        (0, "dog", "5-1-A-0.wav"),
        (1, "thunderstorm", "1-2-A-19.wav"),
        (2, "chirping_birds", "3-3-A-14.wav"),
    ):
        source = rows[index][label]
        assert source.path == file == release.events[source.row].path
    assert set(rows[3]) == {"dog"}


@pytest.mark.parametrize(
    "clips",
    [
        ([background("101.wav", 1.0)], [background("101.wav", 2.0)]),
        ([event("dog", 1.0, 3.0)], [event("dog", 4.0, 3.0)]),
    ],
)
def test_clips_without_a_difference_are_no_pair(tmp_path: Path, clips: tiny_apwd.Pair) -> None:
    items = [background("101.wav", 1.0)]
    folder = tiny_apwd.write(tmp_path, [(items + clips[0], items + clips[1])])
    with pytest.raises(DatasetError, match=r"pair 0 is none: .* 0 changes"):
        read_release(folder)


def test_half_a_pair_and_no_pair_are_refused(tmp_path: Path) -> None:
    folder = tiny_apwd.write(tmp_path)
    next(folder.glob("*_002_s2.jams")).unlink()
    with pytest.raises(DatasetError, match=r"_002_s2\.jams cannot be read"):
        read_release(folder)
    with pytest.raises(DatasetError, match="holds no files named"):
        read_release(tmp_path / "fsd50k")


def test_two_subsets_at_once_are_refused(tmp_path: Path) -> None:
    other = [
        v | {"label": "car_passing"} for v in (background("103.wav", 1.0), more("103.wav", 0, 5))
    ]
    folder = tiny_apwd.write(tmp_path, [*tiny_apwd.pairs(), (other[:1], other)])
    with pytest.raises(DatasetError, match=r"mixes backgrounds \['car_passing', 'rain'\]"):
        read_release(folder)
