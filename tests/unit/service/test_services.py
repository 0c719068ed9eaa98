from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest
import synth
import tiny_bundle
import tiny_towers
from tiny_library import execute

from service.concurrency.timings import RequestTimings
from service.errors import BundleError, NotReadyError
from service.observability.metrics import Metrics
from service.services import Services
from service.settings import Settings


def open_services(bundle: Path, library: Path) -> Services:
    return Services.open(Settings(bundle=bundle, library=library, threads=1), Metrics())


def test_requests_are_accepted_between_ready_and_closing(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    services = open_services(tiny_bundle_path, tmp_path)
    with pytest.raises(NotReadyError):
        services.check_ready()
    services.ready = True
    services.check_ready()
    services.close()
    with pytest.raises(NotReadyError):
        services.check_ready()


def test_a_flipped_byte_in_the_bundle_is_found_and_its_file_is_named(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle_path, tmp_path / "bundle")
    tiny_bundle.flip_bit(bundle / tiny_bundle.ENCODER_FILE)

    with pytest.raises(BundleError, match=tiny_bundle.ENCODER_FILE):
        open_services(bundle, tmp_path / "library")


def test_a_stored_vector_has_the_precision_of_its_encoder(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    tiny_bundle.add_variant(bundle, "int8", cpu_speed=2.0)
    sound = synth.write(tmp_path / "tone.wav", synth.tone(440))
    for precision in ("int8", "fp32"):
        settings = Settings(
            bundle=bundle, library=tmp_path / "library", threads=1, precision=precision
        )
        services = Services.open(settings, Metrics())
        with sound.open("rb") as file:
            services.uploader.store(file, clip_id=precision, metadata={}, timings=RequestTimings())
        services.close()
    rows = execute(tmp_path / "library", "SELECT id, precision FROM vectors JOIN clips USING (seq)")
    assert dict(rows) == {"int8": "int8", "fp32": "float32"}


@pytest.mark.anyio
async def test_lookups_do_not_queue_behind_work(tiny_bundle_path: Path, tmp_path: Path) -> None:
    services = open_services(tiny_bundle_path, tmp_path)

    release = anyio.Event()

    def busy() -> None:
        anyio.from_thread.run(release.wait)

    async with anyio.create_task_group() as tasks:
        for _ in range(services.settings.max_requests + 1):
            tasks.start_soon(services.threads.requests.run, busy)
        assert await services.threads.lookups.run(services.library.catalog.count) == 0
        release.set()

    services.close()


def test_towers_are_checked_before_the_service_starts(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle", towers=0)
    file = tiny_towers.KNOWN_ANSWER_FILE
    tiny_bundle.change_array(bundle, file, "text", lambda _: "a high")

    with pytest.raises(BundleError, match="text vector of the known answer"):
        open_services(bundle, tmp_path / "library")
    assert not (tmp_path / "library").exists()
