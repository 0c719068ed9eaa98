from __future__ import annotations

import re
from importlib import resources

import pytest
from pydantic import ValidationError

from service.retrieval.options import MAX_K, MAX_STRENGTH
from service.settings import Settings


def test_max_k_is_the_largest_value_of_its_setting() -> None:
    assert Settings(max_k=MAX_K).max_k == MAX_K
    with pytest.raises(ValidationError):
        Settings(max_k=MAX_K + 1)


def test_the_page_offers_the_whole_range_of_strengths() -> None:
    document = resources.files("service").joinpath("page/index.html").read_text("utf-8")

    slider = re.search(r'id="strength" type="range" min="0" max="([\d.]+)"', document)

    assert slider is not None
    assert float(slider[1]) == MAX_STRENGTH
