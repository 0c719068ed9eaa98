from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_bundle

from service.difference import l2_normalize
from training.evaluation.words.served import ServedLibrary, Service

TONES = {f"tone{i}": 200.0 * 1.5**i for i in range(6)}
UNDECODABLE = b"no audio"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    bundle = tiny_bundle.write(tmp_path_factory.mktemp("served") / "tiny", towers=0)
    return Service(bundle, threads=1)


@pytest.fixture
def served(service: Service, tmp_path: Path) -> Iterator[ServedLibrary]:
    with service.library(tmp_path / "library") as library:
        yield library


def test_hits_are_ranked_as_by_their_vectors(service: Service, served: ServedLibrary) -> None:
    sounds = {name: synth.tone(frequency, 1.0) for name, frequency in TONES.items()}
    served.add_sounds({name: partial(np.copy, sound) for name, sound in sounds.items()})

    answer = served.search("tone0", k=10)

    vectors = service.models.space.project(service.models.encoder.embed(list(sounds.values())))
    scores = dict(zip(sounds, l2_normalize(vectors) @ l2_normalize(vectors[0]), strict=True))
    del scores["tone0"]
    assert answer.ids == sorted(scores, key=lambda name: -scores[name])
    assert served.search("tone0", reference=answer.ids[0], k=10).ids != answer.ids[1:]


def test_a_text_is_searched_for_and_the_notices_are_told(served: ServedLibrary) -> None:
    served.add_sounds({"one": partial(synth.tone, 300.0, 1.0)})

    assert served.search(text="noise", k=5).ids == ["one"]
    assert served.search(text="noise", k=5).notices == frozenset()
    assert served.search("one", text="", k=5).notices == {"modifier_empty"}
    long = " ".join(["noise"] * 50)
    assert served.search(text=long, k=5).notices == {"modifier_cut"}


def test_files_are_embedded_once_and_unreadable_ones_left_out(
    served: ServedLibrary, tmp_path: Path
) -> None:
    synth.write(tmp_path / "good.wav", synth.tone(300.0, 1.0))
    (tmp_path / "bad.wav").write_bytes(UNDECODABLE)
    files = {"good": tmp_path / "good.wav", "bad": tmp_path / "bad.wav"}
    metadata = {name: {"corpus": name} for name in files}

    served.add_files(files, metadata)
    assert served.ids() == {"good"}

    (tmp_path / "good.wav").unlink()
    served.add_files(files, metadata)
    assert served.ids() == {"good"}


def test_a_condition_selects_by_metadata(served: ServedLibrary, tmp_path: Path) -> None:
    files = {}
    for name, frequency in TONES.items():
        files[name] = tmp_path / f"{name}.wav"
        synth.write(files[name], synth.tone(frequency, 1.0))
    served.add_files(files, {name: {"corpus": name} for name in files})

    assert served.search("tone0", k=5, where={"corpus": "tone3"}).ids == ["tone3"]


def test_phrases_are_those_of_the_difference(served: ServedLibrary) -> None:
    served.add_sounds(
        {
            "quiet": partial(synth.noise, 1, 1.0),
            "loud": lambda: synth.noise(1, 1.0) + synth.tone(1000.0, 1.0),
        }
    )
    assert served.phrases("loud", "loud", 3) == []
    phrases = served.phrases("loud", "quiet", 2)
    assert len(phrases) == 2
    assert phrases[0].score >= phrases[1].score
