from __future__ import annotations

import io
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from minuend_client import VectorClip, calls


def test_fields_that_are_none_are_not_sent_and_others_are_json() -> None:
    call = calls.search(
        {"audio": b"RIFF", "reference": None},
        k=3,
        filter={"place": "garden"},
        modifier="louder",
        modifier_strength=None,
    )
    assert call.fields == {"k": "3", "filter": '{"place": "garden"}', "modifier": "louder"}
    assert [name for name, _ in call.files] == ["audio"]


def test_ids_are_quoted_in_the_path() -> None:
    assert calls.get_clip("a/../b?c#d").path == "/clips/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize("kind", ["path", "str", "file"])
def test_every_attempt_sends_the_whole_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rain.wav"
    path.write_bytes(b"0123456789")
    opened_once = io.BytesIO(b"0123456789")
    audio = {"path": path, "str": str(path), "file": opened_once}[kind]
    call = calls.add_clip(audio, None, None)
    for _ in range(2):
        with ExitStack() as opened:
            (_, (_, file)) = call.arguments(opened)["files"][0]
            assert file.read() == b"0123456789"


def test_a_stream_of_vectors_is_divided_into_requests_without_reading_ahead() -> None:
    read = []

    def clips() -> object:
        for i in range(2 * calls.BULK_CLIPS + 1):
            read.append(i)
            yield VectorClip(str(i), [0.0])

    batches = calls.batches(clips())  # type: ignore[arg-type]  # a generator of clips
    first = next(batches)
    assert len(first) == len(read) == calls.BULK_CLIPS
    assert [len(batch) for batch in batches] == [calls.BULK_CLIPS, 1]


def test_vectors_are_lines_of_json_with_their_fingerprint() -> None:
    call = calls.add_vectors([VectorClip("a", [1.0, 2.0], {"n": 1}), VectorClip("b", [0.0])], "f0")
    assert call.content is not None
    first, second = (json.loads(line) for line in call.content.splitlines())
    assert first["id"] == "a"
    assert first["metadata"] == {"n": 1}
    assert first["fingerprint"] == second["fingerprint"] == "f0"


@pytest.mark.parametrize(
    ("given", "files"), [(None, 0), (b"a", 1), ([b"a", b"b"], 2), ((b"a",), 1)]
)
def test_a_difference_has_as_many_references_as_are_given(given: object, files: int) -> None:
    call = calls.difference(b"m", calls.several(given), k=3)  # type: ignore[arg-type]  # every kind

    assert [name for name, _ in call.files] == ["mixture", *["reference"] * files]
    assert call.fields == {"encoding": "base64", "k": "3"}


@pytest.mark.parametrize("given", ["a", ["a"]])
def test_stored_references_are_separate_fields(given: object) -> None:
    call = calls.difference(None, [], mixture_id="m", reference_id=given)

    assert call.fields["reference_id"] == ["a"]
    assert call.fields["mixture_id"] == "m"
