from __future__ import annotations

import numpy as np
import pytest
from minuend_client import models

from service.vectors import parse_vector, to_base64


def test_vectors_travel_both_ways_without_loss() -> None:
    vector = np.random.default_rng(0).standard_normal(3072).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(models.from_base64(to_base64(vector))), vector)
    np.testing.assert_array_equal(parse_vector(models.to_base64(vector.tolist())), vector)


def test_a_hit_is_read_and_what_is_newer_than_the_client_is_passed_over() -> None:
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
                    "of_tomorrow": True,
                }
            ]
        }
    )
    assert hit == models.Hit("a", 0.5, {"audio": 0.5}, {}, 3600.0, 1215.0, 1225.0)


def test_an_answer_that_lacks_what_every_answer_has_is_an_error() -> None:
    with pytest.raises(KeyError):
        models.parse_hits({})


def test_notices_are_read() -> None:
    body = {"hits": [], "notices": [{"code": "modifier_cut", "detail": "too long"}]}
    assert models.parse_search(body).notices == (models.Notice("modifier_cut", "too long"),)
