from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import DatasetError
from training.towers.understanding.sounds import HELD_OUT, clean_names, collect_sounds
from training.words.names import list_labels, list_names


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("BabyCry", ["baby cry"]),
        ("water_tap", ["water tap"]),
        ("Roar, growl", ["roar", "growl"]),
        ("door/fence", ["door fence"]),
        ("Clark's nutcracker calling", ["clark's nutcracker calling"]),
        ("flute new c4 scale", []),
        ("more or less", []),
        ("one two three four five six", []),
        ("", []),
    ],
)
def test_labels_become_names(label: str, names: list[str]) -> None:
    assert list(clean_names(label)) == names


def test_names_come_from_all_places_and_are_split(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "path,corpus,label\na.wav,sfx,garage_door\nb.wav,speech_commands_9,left\n", "utf-8"
    )
    file = tmp_path / "names.txt"
    file.write_text("# comment\n" + "".join(f"gadget {chr(97 + i)}x\n" for i in range(26)))

    found = collect_sounds(manifest=manifest, classes=["Zither, strum"], files=[file])

    everything = {*found.seen, *found.held_out}
    assert {"garage door", "zither", "strum"} <= everything
    assert not everything & {"left", "comment"}
    assert not set(found.seen) & set(found.held_out)
    gadgets = [name for name in found.held_out if name.startswith("gadget")]
    assert 0 < len(gadgets) < 3 * 26 / HELD_OUT
    assert found == collect_sounds(manifest=manifest, classes=["Zither, strum"], files=[file])


def test_names_of_the_grammar_keep_their_part() -> None:
    found = collect_sounds(classes=["kitten"])
    for label in list_labels():
        assert {name.lower() for name in list_names(label, "held_out")} <= set(found.held_out)
    assert "kitten" in found.held_out
    assert "dog barking" in found.seen


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        collect_sounds(files=[tmp_path / "missing.txt"])
