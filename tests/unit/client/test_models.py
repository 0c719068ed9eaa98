from __future__ import annotations

import numpy as np
import pytest
from minuend_client import models

from service.api.vector_encoding import parse_vector, to_base64


def test_vectors_are_converted_both_ways_without_loss() -> None:
    vector = np.random.default_rng(0).standard_normal(3072).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(models.from_base64(to_base64(vector))), vector)
    np.testing.assert_array_equal(parse_vector(models.to_base64(vector.tolist())), vector)


def test_unknown_fields_of_a_hit_are_ignored() -> None:
    (hit,) = models.parse_hits(
        {
            "hits": [
                {
                    "clip_id": "a",
                    "score": 0.5,
                    "contributions": {"audio": 0.5},
                    "metadata": {},
                    "duration_s": 3600.0,
                    "start_s": 1215.0,
                    "end_s": 1225.0,
                    "new_field": True,
                }
            ]
        }
    )
    assert hit == models.Hit("a", 0.5, {"audio": 0.5}, {}, 3600.0, 1215.0, 1225.0)


def test_an_answer_without_hits_is_an_error() -> None:
    with pytest.raises(KeyError):
        models.parse_hits({})


def test_notices_are_parsed() -> None:
    body = {"hits": [], "notices": [{"code": "modifier_cut", "detail": "too long"}]}
    assert models.parse_search(body).notices == (models.Notice("modifier_cut", "too long"),)


def test_the_sounds_that_a_text_names_are_parsed() -> None:
    sound = {"change": "remove", "sound": "rain", "confidence": 0.9}
    found = models.parse_search({"hits": [], "understood": [sound]})
    assert found.understood == (models.UnderstoodSound("remove", "rain", 0.9),)
    assert models.parse_search({"hits": []}).understood == ()


def difference_body() -> dict[str, object]:
    vector = models.to_base64([1.0, 2.0])
    return {"embedding": vector, "relative_norm": 0.5, "cosine": 0.25, "hits": [], "phrases": []}


def test_the_difference_of_an_older_service_is_parsed() -> None:
    found = models.parse_difference(difference_body())

    assert found.spread is found.level_difference_db is found.changed is None
    assert found.curve == ()
    assert found.description == ""
    assert found.added == found.removed == models.ChangeSide()


def test_a_change_decision_and_a_curve_are_parsed() -> None:
    decision = {"changed": True, "score": 2.0, "threshold": 1.0, "false_alarm_rate": 0.01}
    phrase = {"phrase": "a dog", "label": "dog", "score": 0.5}
    point = {"start_s": 0.5, "end_s": 1.5, "relative_norm": 0.7, "phrases": [phrase]}
    body = difference_body() | {
        "spread": 0.1,
        "level_difference_db": -3.0,
        "changed": decision,
        "curve": [point],
    }

    found = models.parse_difference(body)

    assert found.changed == models.Changed(True, 2.0, 1.0, 0.01)
    assert found.curve == (models.CurvePoint(0.5, 1.5, 0.7, (models.Phrase(**phrase),)),)
    assert (found.spread, found.level_difference_db) == (0.1, -3.0)


def test_what_changed_is_parsed_for_both_sides() -> None:
    direction = {"score": 2.0, "threshold": 1.0, "false_alarm_rate": 0.01}
    phrase = {"phrase": "a dog", "label": "dog", "score": 0.5}
    side = {"phrases": [phrase], "start_s": 1.0, "end_s": 2.5, "level_db": None}
    body = difference_body() | {
        "description": "A dog was added.",
        "changed": {
            "changed": True,
            "what": "added",
            "leaning": "added",
            **direction,
            "added": direction,
            "removed": None,
        },
        "added": side,
        "removed": {"phrases": [], "start_s": None, "end_s": None, "level_db": -3.0},
    }

    found = models.parse_difference(body)

    assert found.description == "A dog was added."
    assert found.changed is not None
    assert (found.changed.what, found.changed.leaning) == ("added", "added")
    assert found.changed.added == models.Direction(2.0, 1.0, 0.01)
    assert found.changed.removed is None
    assert found.added == models.ChangeSide((models.Phrase(**phrase),), 1.0, 2.5)
    assert found.removed == models.ChangeSide(level_db=-3.0)
