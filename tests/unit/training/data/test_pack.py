from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_run

from training.data import pack as module
from training.data.clips import TrainingData
from training.data.pack import is_pack, write_pack
from training.data.splits import sources
from training.errors import DatasetError
from training.recipe import Recipe

WHERE = {"where": {"permissive": 1}, "held_out": 0.4}


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    """Sounds with a manifest, of lengths around that of a chunk's end."""
    rows = []
    for i in range(9):
        sound = synth.tone(200.0 * (i + 1), 0.5 + 0.137 * i, amplitude=0.4) + synth.noise(
            i, 0.5 + 0.137 * i, amplitude=0.02
        )
        synth.write(tmp_path / "data" / f"s{i}.wav", sound)
        rows.append({"path": f"s{i}.wav", "recording": f"r{i}", "permissive": int(i != 4)})
    with (tmp_path / "data" / "manifest.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return TrainingData(tmp_path / "data" / "manifest.csv", tmp_path / "cache")


def packed(data: TrainingData, recipe: Recipe, folder: Path, max_bytes: int = 200_000) -> Path:
    file = folder / "there" / "clips.pack"
    report = write_pack(file, data.open_all(recipe), recipe, max_bytes)
    assert report.size_bytes == file.stat().st_size <= max_bytes
    return file


def test_a_pack_has_the_clips_of_the_recipe_their_lengths_sources_and_sides(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_S", 2)
    recipe = tiny_run.recipe(data=WHERE)
    file = packed(data, recipe, tmp_path)
    assert is_pack(file)
    there = TrainingData(file, tmp_path / "there" / "cache")
    for found, expected in zip(there.open(recipe), data.open(recipe), strict=True):
        assert [clip.name for clip in found.clips] == [clip.name for clip in expected.clips]
        assert [sources(clip) for clip in found.clips] == [sources(c) for c in expected.clips]
        assert found.lengths.tolist() == expected.lengths.tolist()
        for i in range(len(found.clips)):
            spectra = [np.abs(np.fft.rfft(store.clip(i))) for store in (found, expected)]
            assert spectra[0].argmax() == spectra[1].argmax()
            assert np.corrcoef(*spectra)[0, 1] > 0.9
    with zipfile.ZipFile(file) as archive:
        assert sum(name.endswith(".opus") for name in archive.namelist()) > 1


def test_a_smaller_pack_has_a_lower_bit_rate_and_too_small_a_one_is_refused(
    data: TrainingData, tmp_path: Path
) -> None:
    recipe = tiny_run.recipe()
    store = data.open_all(recipe)
    large, small = (write_pack(tmp_path / f"{n}.pack", store, recipe, n) for n in (60_000, 22_000))
    assert small.bitrate_bps < large.bitrate_bps
    assert small.size_bytes <= 22_000
    with pytest.raises(DatasetError, match="do not fit into 2,000 bytes"):
        write_pack(tmp_path / "no.pack", store, recipe, 2_000)
    assert not (tmp_path / "no.pack").exists()


def test_a_pack_of_another_choice_is_refused_but_other_settings_may_change(
    data: TrainingData, tmp_path: Path
) -> None:
    file = packed(data, tiny_run.recipe(data=WHERE), tmp_path)
    there = TrainingData(file, tmp_path / "there")
    other = tiny_run.recipe(data={"where": {"permissive": 0}})
    with pytest.raises(DatasetError, match="another choice of clips"):
        there.open(other)
    there.open(tiny_run.recipe(seed=9, data=WHERE | {"held_out": 0.0, "crops": "by_length"}))


def test_what_is_no_pack_is_read_as_a_manifest_or_folder(
    data: TrainingData, tmp_path: Path
) -> None:
    assert not is_pack(data.path)
    assert not is_pack(data.path.parent)
    assert not is_pack(tmp_path / "nothing")
