from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import synth

from service.concurrency.timings import RequestTimings
from service.errors import AudioUndecodableError
from service.observability.metrics import Metrics
from service.services import Services
from service.settings import Settings


@pytest.fixture
def services(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Services]:
    services = Services.open(
        Settings(bundle=tiny_bundle_path, library=tmp_path, threads=1), Metrics()
    )
    yield services
    services.close()


def store(services: Services, content: bytes, clip_id: str | None = None) -> tuple[str, bool]:
    record, is_new = services.uploader.store(
        io.BytesIO(content), clip_id=clip_id, metadata={}, timings=RequestTimings()
    )
    return record.id, is_new


def test_the_id_of_a_clip_without_one_is_derived_from_its_content(services: Services) -> None:
    content = synth.encode(synth.tone(440))

    assert store(services, content) == (hashlib.sha256(content).hexdigest()[:32], True)
    assert store(services, content)[1] is False
    assert services.library.catalog.count() == 1


def test_the_original_file_is_stored_with_its_properties(
    services: Services,
) -> None:
    content = synth.encode(synth.tone(440, 0.5, sample_rate=44_100), sample_rate=44_100, form="OGG")

    store(services, content, "tone")

    path = services.library.open_audio("tone")
    record = services.library.catalog.get("tone")
    assert path.read_bytes() == content
    assert path.suffix == ".ogg"
    assert (record.media_type, record.sample_rate_hz, record.channels) == ("audio/ogg", 44_100, 1)
    assert record.duration_s == pytest.approx(0.5)
    assert record.size_bytes == len(content)


def test_a_file_that_is_not_audio_is_not_stored(services: Services) -> None:
    with pytest.raises(AudioUndecodableError):
        store(services, b"words, not waves" * 10)

    assert services.library.catalog.count() == 0
