from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_bundle
from tiny_words import N_EVENTS, SOUNDS, write_manifest

from training.data.attribution import TRAINED, write_attribution
from training.data.manifest import read_clips
from training.errors import DatasetError
from training.evaluation.overlap import ATTRIBUTION
from training.evaluation.words.measure import RESULTS, measure_words
from training.reports.words_page import PAGE, write_page


def write_bundle(folder: Path, manifest: Path, trained: str, *, seed: int = 0) -> Path:
    """Write a bundle with towers that was trained on one clip."""
    bundle = tiny_bundle.write(folder, towers=seed, seed=seed)
    clips = [clip for clip in read_clips(manifest) if clip.name == trained]
    assert len(clips) == 1
    (bundle / ATTRIBUTION).unlink(missing_ok=True)
    write_attribution(bundle / ATTRIBUTION, {TRAINED: clips}, None)
    tiny_bundle.relist(bundle)
    return bundle


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two bundles, with the folder of everything."""
    folder = tmp_path_factory.mktemp("words")
    manifest = write_manifest(folder / "data")
    bundles = [
        write_bundle(folder / "one", manifest, "esc50/audio/dog_0.wav"),
        write_bundle(folder / "two", manifest, "esc50/audio/cow_1.wav", seed=1),
    ]
    measure_words(manifest, bundles, results=folder / "results", cache=folder / "cache", threads=1)
    return folder


def test_bundles_are_measured_over_the_clips_that_none_was_trained_on(measured: Path) -> None:
    one, two = json.loads((measured / "results" / RESULTS).read_text())["rows"]

    assert one["key"]["clips"] == two["key"]["clips"]
    assert one["key"]["encoder"] != two["key"]["encoder"]
    corpora = one["data"]["corpora"]
    assert corpora == {"esc50": len(SOUNDS) * N_EVENTS - 2, "ambience": 6, "berklee_foley": 1}
    assert one["data"] == two["data"]
    assert one["data"]["mixtures"] == 2 * 2 * len(SOUNDS)
    for row in (one, two):
        assert row["composition"]["another"]["first"]["queries"] == 12
        assert row["unknown"]["nonsense"]["value"] == 0  # these bundles know no notice
        assert [each["right_clips"] for each in row["text_only"]["requests"]] == [5, 6, 5]


def test_a_second_run_gives_the_same_figures_from_the_cache(measured: Path) -> None:
    data, cache = measured / "data" / "manifest.csv", measured / "cache"
    libraries = sorted(cache.glob("words/*/*/catalog.sqlite"))
    assert len(libraries) == 4

    results = measured / "again"
    measure_words(data, [measured / "one", measured / "two"], results=results, cache=cache)

    again = json.loads((results / RESULTS).read_text())["rows"]
    first = json.loads((measured / "results" / RESULTS).read_text())["rows"]
    for row, same in zip(first, again, strict=True):
        for name in ("text_only", "names", "negation", "composition", "subtraction", "example"):
            assert row[name] == same[name]
    assert sorted(cache.glob("words/*/*/catalog.sqlite")) == libraries


def test_the_page_has_a_column_for_every_bundle(measured: Path) -> None:
    page = write_page(measured / "results").read_text("utf-8")

    rows = json.loads((measured / "results" / RESULTS).read_text())["rows"]
    for row in rows:
        assert f"{row['key']['encoder'][:4]}/{row['key']['towers'][:4]}" in page
    assert "a puppy yapping at the postman" in page
    assert (measured / "results" / PAGE).is_file()
    assert (measured / "results" / "words_aims.png").stat().st_size > 1000


def test_a_bundle_without_towers_is_refused(measured: Path, tmp_path: Path) -> None:
    manifest = measured / "data" / "manifest.csv"
    bundle = tiny_bundle.write(tmp_path / "mute")
    write_attribution(bundle / ATTRIBUTION, {TRAINED: []}, None)
    tiny_bundle.relist(bundle)
    with pytest.raises(DatasetError, match="no towers"):
        measure_words(manifest, [bundle], results=tmp_path, cache=measured / "cache")


def test_data_without_labels_is_refused(measured: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no manifest"):
        measure_words(
            measured / "data", [measured / "one"], results=tmp_path, cache=tmp_path / "cache"
        )
