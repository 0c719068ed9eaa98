from __future__ import annotations

import pytest

from service.clips import check_id
from service.errors import ClipIdInvalidError


@pytest.mark.parametrize("clip_id", ["a", "0", "rain_03.flac", "-", "...", "A" * 128, ".hidden"])
def test_a_good_id_is_returned(clip_id: str) -> None:
    assert check_id(clip_id) == clip_id


@pytest.mark.parametrize(
    "clip_id", ["", "A" * 129, "a/b", "a b", "a\n", "ü", "..", ".", "%2e", "\ud800", "a\0"]
)
def test_a_bad_id_is_refused(clip_id: str) -> None:
    with pytest.raises(ClipIdInvalidError, match="1 to 128"):
        check_id(clip_id)
