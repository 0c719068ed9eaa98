from __future__ import annotations

from pathlib import Path

from ranked_clips import clip

from training.data.attribution import HELD_OUT, TRAINED, write_attribution
from training.data.manifest import SourceClip
from training.evaluation.overlap import ATTRIBUTION
from training.evaluation.words.items import Collection, judged, unseen_by_all


def source(name: str, recording: str, label: str = "dog") -> SourceClip:
    return SourceClip(Path("data"), name, {"recording": recording, "label": label})


def write_bundle(folder: Path, roles: dict[str, list[SourceClip]]) -> Path:
    folder.mkdir()
    write_attribution(folder / ATTRIBUTION, roles, None)
    return folder


def test_unseen_clips_share_no_recording_with_the_encoder_or_towers_of_any_bundle(
    tmp_path: Path,
) -> None:
    encoder, towers, other = source("a", "1"), source("b", "2"), source("c", "3")
    cuts = [source(f"cut of {name}", name) for name in ("1", "2", "3")]
    held_out, free = source("d", "4"), source("e", "5")
    first = write_bundle(
        tmp_path / "first", {TRAINED: [encoder], "towers": [towers], HELD_OUT: [held_out]}
    )
    second = write_bundle(tmp_path / "second", {TRAINED: [other]})
    clips = [encoder, towers, other, *cuts, held_out, free]

    assert unseen_by_all(clips, [first]) == [other, cuts[2], held_out, free]
    assert unseen_by_all(clips, [first, second]) == [held_out, free]


def test_clips_without_a_telling_label_are_not_judged() -> None:
    told, untold = source("a", "1"), source("b", "2", label="")
    assert judged([told, untold]) == [told]


def test_a_collection_finds_the_clips_of_a_recording_and_the_rate_of_random_hits() -> None:
    items = [
        clip("a", "dog", recording="1"),
        clip("b", "dog", recording="1"),
        clip("c", "cat"),
        clip("d"),
    ]
    collection = Collection(items)

    assert collection.others(items[0]) == {"a", "b"}
    assert collection.sharing(["1", "c", "unknown"]) == {"a", "b", "c"}
    assert collection.share(["dog"]) == 0.5
    assert collection.share(["dog", "cat"]) == 0.75
