from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import synth

from service.core import Core
from service.errors import AudioUndecodableError
from service.metrics import Metrics
from service.settings import Settings
from service.timing import Phases


@pytest.fixture
def core(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Core]:
    core = Core.open(Settings(bundle=tiny_bundle_path, library=tmp_path, threads=1), Metrics())
    yield core
    core.close()


def store(core: Core, content: bytes, clip_id: str | None = None) -> tuple[str, bool]:
    record, is_new = core.intake.store(
        io.BytesIO(content), clip_id=clip_id, metadata={}, phases=Phases()
    )
    return record.id, is_new


def test_a_clip_without_a_name_is_named_by_its_content(core: Core) -> None:
    content = synth.encode(synth.tone(440))

    assert store(core, content) == (hashlib.sha256(content).hexdigest()[:32], True)
    assert store(core, content)[1] is False
    assert core.library.count() == 1


def test_the_original_file_is_kept_byte_by_byte_with_what_is_known_of_it(core: Core) -> None:
    content = synth.encode(synth.tone(440, 0.5, sample_rate=44_100), sample_rate=44_100, form="OGG")

    store(core, content, "tone")

    path = core.library.open_audio("tone")
    record = core.library.get("tone")
    assert path.read_bytes() == content
    assert path.suffix == ".ogg"
    assert (record.media_type, record.sample_rate_hz, record.channels) == ("audio/ogg", 44_100, 1)
    assert record.duration_s == pytest.approx(0.5)
    assert record.size_bytes == len(content)


def test_what_is_no_audio_is_not_stored(core: Core) -> None:
    with pytest.raises(AudioUndecodableError):
        store(core, b"words, not waves" * 10)

    assert core.library.count() == 0
