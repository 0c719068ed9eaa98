from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from tiny_library import execute, make_clip, open_library

from service.errors import ClipDamagedError
from service.library import scrub, verify
from service.library.library import Library
from service.library.scrub import DAY_S

WAIT_S = 20
FAST_DAYS = 1e-9
"""So short a time that no pause is made."""


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = open_library(tmp_path)
    library.writer.put_many([make_clip(f"c{n}", n) for n in range(5)])
    yield library
    library.close()


def wait_for(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def test_a_pass_finds_marks_and_counts_what_is_damaged(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.library.audio_check.HASHED_ON_READ_BYTES", 0)
    flip(library.audio_path("c1"))
    execute(tmp_path, "UPDATE vectors SET embedding = x'00' WHERE seq = 3")
    started_s = time.time()
    library.scrub.start(FAST_DAYS, first_wait_s=0)
    wait_for(lambda: library.scrub.completed_s >= int(started_s))
    counts = library.catalog.count_damaged()
    assert (counts["audio"], counts["vector"], counts["record"]) == (1, 1, 0)
    with pytest.raises(ClipDamagedError):
        library.open_audio("c1")
    wait_for(lambda: library.scrub.progress.checked["audio"])


def test_what_was_repaired_is_no_longer_counted(library: Library, tmp_path: Path) -> None:
    ((embedding,),) = execute(tmp_path, "SELECT embedding FROM vectors WHERE seq = 3")
    execute(tmp_path, "UPDATE vectors SET embedding = x'00' WHERE seq = 3")
    library.scrub.start(FAST_DAYS, first_wait_s=0)
    wait_for(lambda: library.catalog.count_damaged()["vector"])
    execute(tmp_path, f"UPDATE vectors SET embedding = x'{embedding.hex()}' WHERE seq = 3")
    wait_for(lambda: not library.catalog.count_damaged()["vector"])


def test_a_pass_goes_on_after_a_restart(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "BATCH_ROWS", 2)
    monkeypatch.setattr(scrub, "SLOWEST_S", 3600)
    library.scrub.start(365, first_wait_s=0)
    wait_for(lambda: library.scrub.progress.started_at)
    library.close()
    kept = orjson.loads((tmp_path / "scrub.json").read_bytes())
    assert kept["step"] < len(verify.STEPS)

    monkeypatch.setattr(scrub, "SLOWEST_S", 0)
    again = open_library(tmp_path)
    again.scrub.start(365, first_wait_s=0)
    wait_for(lambda: again.scrub.completed_s)
    assert again.scrub.progress.started_at == kept["started_at"]
    assert again.scrub.progress.checked["record"] == 5
    again.close()


def test_the_next_pass_waits_until_it_is_due(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "SLOWEST_S", 0)
    library.scrub.start(30, first_wait_s=0)
    wait_for(lambda: library.scrub.completed_s)
    library.close()

    again = open_library(tmp_path)
    left_s = again.scrub._run_pass(30 * DAY_S)
    assert 29.9 * DAY_S < left_s <= 30 * DAY_S
    assert again.scrub.completed_s > 0
    again.close()


def test_the_time_of_the_setting_bounds_a_pass(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses of a pass add up to the time of the setting, and no more."""
    waits: list[float] = []
    monkeypatch.setattr(library.scrub._closing, "wait", lambda pause_s: waits.append(pause_s))
    library.scrub._run_pass(9.0)
    assert sum(waits) == pytest.approx(9.0, rel=0.05)
    assert max(waits) < 5


def test_no_days_never_check(library: Library, tmp_path: Path) -> None:
    library.scrub.start(0, first_wait_s=0)
    library.close()
    assert not (tmp_path / "scrub.json").exists()


def test_a_pass_that_cannot_go_on_is_tried_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scrub.json").mkdir()
    monkeypatch.setattr(scrub, "RETRY_S", 0.01)
    library.scrub.start(FAST_DAYS, first_wait_s=0)
    time.sleep(0.1)
    (tmp_path / "scrub.json").rmdir()
    wait_for(lambda: (tmp_path / "scrub.json").is_file())
