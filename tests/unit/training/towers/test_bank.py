from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_pairs

from service.inference.phrases import TextBank
from training.towers.bank import concept_entries, label_entries, make_bank, write_bank
from training.towers.captions.concepts import Concepts
from training.towers.vocabulary import Vocabulary
from training.words.names import list_names


def test_a_bank_has_one_phrase_a_label_and_the_service_reads_it(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    embed = tiny_pairs.WordVectors().embed
    bank = make_bank(label_entries(vocabulary), embed)
    assert [phrase.label for phrase in bank] == list(vocabulary.labels)
    assert {phrase.kind for phrase in bank if phrase.label == "bells"} == {"background"}
    assert {phrase.kind for phrase in bank if phrase.label in tiny_pairs.EVENTS} == {"event"}
    for phrase in bank:
        assert phrase.phrase == list_names(phrase.label)[0]
        assert np.linalg.norm(phrase.vector) == pytest.approx(1.0, abs=1e-5)
    write_bank(tmp_path / "bank.json", bank)
    read = TextBank.read(tmp_path / "bank.json", 24)
    assert len(read) == len(bank)
    for phrase in bank:
        (first,) = read.rank(phrase.vector, 1)
        assert (first.phrase, first.label) == (phrase.phrase, phrase.label)


def test_the_bank_of_concepts_has_the_reliable_ones_each_once(vocabulary: Vocabulary) -> None:
    concepts = Concepts.of(["Dog", "Violin, fiddle", "Gong"], ["door slam", "dog barking"])
    columns = concepts.columns()
    reliability = dict.fromkeys(range(len(concepts.concepts)), 0.5)
    reliability[columns["class", "Gong"]] = 0.1
    del reliability[columns["caption", "door slam"]]
    entries = concept_entries(concepts, vocabulary, reliability, 0.2)
    found = {entry.label for entry in entries}
    assert "dog" in found
    assert "Violin, fiddle" in found
    assert not {"Dog", "Gong", "door slam", "dog barking"} & found  # same, unreliable, unmeasured
    assert len({entry.phrase for entry in entries}) == len(entries)
    kinds = {entry.label: entry.kind for entry in entries}
    assert (kinds["dog"], kinds["Violin, fiddle"]) == ("event", "sound")
    assert {entry.reliability for entry in entries} == {0.5}
