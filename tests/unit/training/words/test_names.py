from __future__ import annotations

from collections import Counter

from training.teacher.files import find_teacher
from training.towers.captions.concepts import Concepts, caption_of
from training.words.names import class_names, label_names, without_article


def test_every_class_of_the_teacher_has_names() -> None:
    assert set(class_names()) == set(find_teacher().classes())
    assert all(names and len(set(names)) == len(names) for names in class_names().values())


def test_the_classes_of_a_label_are_classes_of_the_teacher() -> None:
    named = {name for entry in label_names().values() for name in entry.classes}
    assert named <= set(class_names())


def test_no_held_out_name_is_a_name_of_a_class() -> None:
    held_out = {without_article(n) for entry in label_names().values() for n in entry.held_out}
    trained = {without_article(name) for names in class_names().values() for name in names}
    assert not held_out & trained


def test_a_concept_has_the_names_of_its_label_class_or_caption() -> None:
    concepts = Concepts.of(["Dog", "Rain"], ["door slam", "a note of a flute", "door slam"])
    kinds = Counter(concept.kind for concept in concepts.concepts)
    assert kinds == {"label": len(label_names()), "class": 2, "caption": 2}
    columns = concepts.columns()
    assert concepts.concepts[columns["label", "dog"]].names[:4] == label_names()["dog"].seen
    assert concepts.concepts[columns["class", "Rain"]].names[:4] == tuple(class_names()["Rain"])
    assert concepts.concepts[columns["caption", "door slam"]].names == ("door slam",)
    assert [concepts.concepts[i].key for i in concepts.classes] == ["Dog", "Rain"]


def test_captions_come_from_the_label_of_a_clip() -> None:
    assert caption_of("berklee_foley", "door slam") == "door slam"
    assert caption_of("speech_commands_9", "yes") == 'a person saying "yes"'
    assert caption_of("gm_notes", "reed") == "a note of a reed instrument"
    assert caption_of("esc50", "dog") is None


def test_an_article_is_removed_but_a_single_word_stays() -> None:
    assert without_article("a dog") == "dog"
    assert without_article("the rain") == "rain"
    assert without_article("a") == "a"
    assert without_article("anvil") == "anvil"
