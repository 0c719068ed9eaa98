from __future__ import annotations

import pytest

from service.catalog.stored_names import digest_of, is_name_of, stored_name

DIGEST = "ab" * 32


@pytest.mark.parametrize("extension", ["", ".wav", ".m4a"])
def test_a_stored_name_has_the_digest_of_its_file(extension: str) -> None:
    name = stored_name(DIGEST, extension)
    assert name == f"audio/ab/{DIGEST}{extension}"
    assert digest_of(name) == DIGEST
    assert is_name_of(name, DIGEST)
    assert not is_name_of(name, "cd" * 32)
    assert not is_name_of(name, None)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "catalog.sqlite",
        f"audio/cd/{DIGEST}.wav",
        f"audio/ab/{DIGEST}.wav/x",
        f"audio/ab/../ab/{DIGEST}.wav",
        f"../audio/ab/{DIGEST}.wav",
        f"/audio/ab/{DIGEST}.wav",
        f"audio/ab/{DIGEST.upper()}.wav",
        f"audio/ab/{DIGEST}.wav\n",
        f"audio/ab/{DIGEST}\0.wav",
        f"audio/ab/{DIGEST[:-1]}.wav",
    ],
)
def test_no_other_name_is_that_of_a_stored_file(name: str) -> None:
    assert digest_of(name) is None
    assert not is_name_of(name, DIGEST)
