from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import tiny_pairs

from training.errors import DatasetError, LicenceError
from training.towers.export.sources import find_sources, summarise_sources
from training.towers.run import LoadedTowers


def test_every_clip_is_found_and_summarised(loaded: LoadedTowers, tmp_path: Path) -> None:
    data = tiny_pairs.write_manifest(tmp_path / "manifest.csv", loaded.sources)
    clips = find_sources(loaded, data, any_licence=False)
    assert [clip.name for clip in clips] == loaded.sources
    summary = {source.corpus: source for source in summarise_sources(clips)}
    assert set(summary) == {"esc50", "bg"}
    assert summary["esc50"].clips == sum(name.startswith("esc50") for name in loaded.sources)
    assert summary["esc50"].seconds == 5.0 * summary["esc50"].clips
    assert summary["bg"].licences == {"CC0": summary["bg"].clips}


def test_towers_that_were_trained_on_restricted_clips_are_not_exported(
    loaded: LoadedTowers, tmp_path: Path
) -> None:
    name = loaded.sources[3]
    data = tiny_pairs.write_manifest(tmp_path / "manifest.csv", loaded.sources, restricted=[name])
    with pytest.raises(LicenceError, match=rf"trained on 1 clips .*{name}"):
        find_sources(loaded, data, any_licence=False)
    assert len(find_sources(loaded, data, any_licence=True)) == len(loaded.sources)


def test_a_clip_that_is_not_in_the_manifest_is_named(loaded: LoadedTowers, tmp_path: Path) -> None:
    data = tiny_pairs.write_manifest(tmp_path / "manifest.csv", loaded.sources[1:])
    with pytest.raises(DatasetError, match=f"lacks 1 clips, for example {loaded.sources[0]}"):
        find_sources(loaded, data, any_licence=False)


def test_another_manifest_than_that_of_the_scenes_is_refused(
    loaded: LoadedTowers, tmp_path: Path
) -> None:
    data = tiny_pairs.write_manifest(tmp_path / "manifest.csv", loaded.sources)
    other = dataclasses.replace(loaded, data=loaded.data | {"manifest_sha256": "0" * 64})
    with pytest.raises(DatasetError, match="made of another manifest"):
        find_sources(other, data, any_licence=False)
